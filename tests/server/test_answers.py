"""Byte for byte: what each recorded review gets on each path. The golden files were reviewed by eye; after a change that is
meant, `pytest tests/server/test_answers.py --update-golden` writes them anew, and git shows what to review."""

import json

import pytest

from reviews import patch_of
from serverlib import HERE

RECORDED = sorted((HERE.parent / "data" / "admission-reviews").glob("*.json"))
PATHS = ("/mutate/enforce", "/mutate/audit", "/validate/enforce", "/validate/audit")


def show(path, answer):
    """An answer as text; the decoded patch is there for the reviewer."""
    lines = [f">>> POST {path}?timeout=2s", f"HTTP/1.1 {answer.status} {answer.reason}"]
    lines += [f"{name}: {value}" for name, value in answer.headers if name != "Date"]
    lines += ["", answer.body.decode()]
    for operation in patch_of(json.loads(answer.body)["response"]):
        lines.append("  # " + json.dumps(operation, ensure_ascii=False))
    return "\n".join(lines) + "\n"


def test_there_are_recorded_reviews():
    assert len(RECORDED) >= 8, f"expected the recorded reviews beside this folder, found {RECORDED}"


@pytest.mark.parametrize("recorded", RECORDED, ids=lambda path: path.stem)
def test_recorded_review_gets_the_golden_answer(server, recorded, request):
    shown = []
    with server.connect() as connection:
        for path in PATHS:
            answer = connection.post(path + "?timeout=2s", recorded.read_bytes())
            assert answer.header("Date"), "RFC 9110 6.6.1: an answer has a Date"
            shown.append(show(path, answer))
    text = "\n".join(shown)
    golden = HERE / "golden" / f"{recorded.stem}.txt"
    if request.config.option.update_golden:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(text)
        pytest.skip(f"wrote {golden.name}: review it")
    assert text == golden.read_text(), f"the answers to {recorded.name} are not those of {golden}"


def test_no_golden_file_is_left_over():
    assert sorted(p.stem for p in (HERE / "golden").glob("*")) == [p.stem for p in RECORDED]

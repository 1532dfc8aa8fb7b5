"""The benchmark's own judgement: patches are applied strictly, and wrong answers are noticed."""
import base64
import json
import re
import shutil
import subprocess

import pytest

import json_patch
import common  # the folder of this file is on the path

POD = {"metadata": {"annotations": {"a/b": "1"}},
       "spec": {"containers": [{"image": "x"}, {"image": "y"}]}}
C = "/spec/containers"


def op(name, path, **members):
    return {"op": name, "path": path, **members}


@pytest.mark.parametrize("operation, path, value", [
    (op("replace", "/spec/containers/1/image", value="z"), C + "/1/image", "z"),
    (op("add", "/spec/containers/0", value={"image": "w"}), C + "/1/image", "x"),
    (op("add", "/spec/containers/-", value=1), C + "/2", 1),
    (op("add", "/spec/containers/2", value=1), C + "/2", 1),
    (op("add", "/metadata/annotations/a~1b", value="2"), "/metadata/annotations/a~1b", "2"),
    (op("add", "/metadata/annotations/a~0b", value="2"), "/metadata/annotations/a~0b", "2"),
    (op("remove", "/spec/containers/0"), C + "/0/image", "y"),
    (op("replace", "", value={"a": 1}), "/a", 1),
    (op("move", "/spec/x", **{"from": "/spec/containers/0"}), "/spec/x/image", "x"),
    (op("copy", "/spec/x", **{"from": "/spec/containers/0"}), "/spec/x/image", "x"),
    (op("test", "/spec/containers/0/image", value="x"), C + "/0/image", "x"),
])
def test_what_applies(operation, path, value):
    before = json.dumps(POD)
    assert json_patch.get(json_patch.apply(POD, [operation]), json_patch.parts_of(path)) == value
    assert json.dumps(POD) == before


@pytest.mark.parametrize("operation", [
    op("replace", "/spec/containers/0/name", value="z"),
    op("replace", "/spec/containers/2", value="z"),
    op("add", "/spec/containers/3", value="z"),
    op("add", "/spec/containers/00", value="z"),
    op("add", "/spec/containers/x", value="z"),
    op("add", "/spec/missing/x", value="z"),
    op("add", "/metadata/annotations/a~1b/x", value="z"),
    op("add", "spec/x", value="z"),
    op("add", "/spec/a~2", value="z"),
    op("remove", "/spec/missing"),
    op("remove", ""),
    op("remove", "/spec/containers/-"),
    op("test", "/spec/containers/0/image", value="y"),
    op("move", "/spec/x", **{"from": "/spec/missing"}),
    op("merge", "/spec", value={}),
])
def test_what_does_not_apply(operation):
    with pytest.raises(json_patch.PatchError):
        json_patch.apply(POD, [operation])


class Server:
    name = "a server"


def answer(operations, **members):
    patch = base64.b64encode(json.dumps(operations).encode()).decode()
    return json.dumps({"response": {"uid": BODY["request"]["uid"], "allowed": True, "patch": patch,
                                    "patchType": "JSONPatch", **members}}).encode()


BODY = json.loads(common.REVIEW.read_text())
CONTAINERS = BODY["request"]["object"]["spec"]["containers"]
MOVED = {c["name"]: c["image"] for c in CONTAINERS if c["image"] in common.IMAGES}
RIGHT = [op("replace", f"/spec/containers/{i}/image", value=common.IMAGES[c["image"]])
         for i, c in enumerate(CONTAINERS) if c["image"] in common.IMAGES]
RIGHT.append(op("add", "/metadata/annotations/harbor-pilot.io~1original-images",
                value=json.dumps(MOVED)))


def check(text, patched=True, typed=False):
    common.check_answer(Server, json.dumps(BODY), text, patched, typed)


def test_a_right_answer_is_right():
    check(answer(RIGHT))
    check(answer([*RIGHT, op("add", "/status", value={})]), typed=True)


@pytest.mark.parametrize("wrong", [
    answer(RIGHT[:1] + RIGHT[2:]),
    answer(RIGHT, allowed=False),
    answer(RIGHT, uid="another"),
    answer([*RIGHT[:-1], op("add", "/metadata/annotations/harbor-pilot.io~1original-images",
                            value="{}")]),
    answer([*RIGHT, op("add", "/spec/hostNetwork", value=True)]),
    answer([*RIGHT, op("remove", "/spec/missing")]),
])
def test_a_wrong_answer_is_wrong(wrong):
    with pytest.raises((common.WrongAnswer, json_patch.PatchError)):
        check(wrong)


def test_audit_may_not_patch():
    with pytest.raises(common.WrongAnswer):
        check(answer(RIGHT), patched=False)


ADMIT_INSTRUCTIONS_MOST = 110_000  # about 107,400 by gcc 12 on amd64


def test_admit_stays_within_its_instructions():
    engine = common.ROOT / "build/bench/engine"
    if not shutil.which("valgrind"):
        pytest.skip("there is no valgrind")
    if not engine.exists():
        pytest.skip("build/bench/engine is not built; `make bench` builds it")
    done = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=measured_calls*",
                           "--callgrind-out-file=/dev/null", engine, common.REVIEW, "count",
                           "admit-enforce", "50"], capture_output=True, text=True, check=True)
    collected = int(re.search(r"Collected : (\d+)", done.stderr)[1])
    assert 0 < collected / 50 <= ADMIT_INSTRUCTIONS_MOST

"""Input that cannot be read: an error with its line, exit status 2, and everything else is still
done; and input that was made to take for ever."""

import json
import re

import pytest

from clilib import OURS, check_plan, pod
from test_plan_input import dump, names, yaml_pod

GOOD, LAST = yaml_pod("first"), yaml_pod("last")
BROKEN = {  # the document, and which of its lines the error is on
    "a bracket is not closed": ("apiVersion: v1\nkind: Pod\nmetadata: {name: x\nspec: {}\n", 4),
    "indentation": (
        "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n   image: b\n",
        6,
    ),
    "a tab": ("apiVersion: v1\nspec:\n\tcontainers: []\n", 3),
    "a quote is not closed": ('kind: Pod\nspec: "never\n  closed\n', 4),
    "an unknown alias": ("kind: Pod\nspec: *unknown\n", 2),
    "a template": ("kind: Pod\nmetadata: {{ .Values.metadata }}\nspec: {{- toYaml . }}\n", 3),
    "a mapping in a value": ("kind: Pod\nmetadata: name: x\n", 2),
    "an unknown escape": ('kind: Pod\nname: "\\q"\n', 2),
    "a control character": ("kind: Pod\nname: a\x07b\n", None),
    "an alias to itself": ("kind: Pod\nspec: &x\n  a: *x\n", None),
    "a merge of itself": ("kind: Pod\nspec: &x\n  <<: *x\n", None),
}


@pytest.mark.parametrize("what", BROKEN)
def test_one_broken_document_of_several(program, what):
    document, line = BROKEN[what]
    text = GOOD + "---\n" + document + "---\n" + LAST
    plan = program.plan(text, status=2)
    assert names(plan) == ["first", "last"]
    assert [i["document"] for i in plan["images"]] == [
        "-:1",
        f"-:{text[:text.index(LAST)].count(chr(10)) + 1}",
    ]
    assert len(plan["errors"]) == 1, plan["errors"]
    begins = GOOD.count("\n") + 2
    at = int(re.fullmatch(r"-:(\d+)", plan["errors"][0]["document"])[1])
    if line is None:
        assert begins - 1 <= at <= begins + document.count("\n"), plan["errors"]
    else:
        assert at == begins + line - 1, plan["errors"]


def test_errors_as_text(program):
    result = program(
        "plan",
        "--policies",
        OURS,
        stdin=GOOD + "---\n" + BROKEN["indentation"][0] + "---\n" + LAST,
        status=2,
    )
    assert re.search(r"^-:11:\d+: not YAML: .+$", result.err, re.M), result.err
    assert "Pod/first" in result.out and "Pod/last" in result.out and "2 images" in result.out


def test_each_broken_document_has_its_error(program, tmp_path):
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text(
            BROKEN["a tab"][0] + "---\n" + GOOD + "---\n" + BROKEN["indentation"][0]
        )
    result = program(
        "plan",
        "--policies",
        OURS,
        "-o",
        "json",
        "-f",
        tmp_path / "a.yaml",
        "-f",
        tmp_path / "b.yaml",
        status=2,
    )
    plan = check_plan(result.json())
    assert names(plan) == ["first", "first"]
    assert [e["document"] for e in plan["errors"]] == [
        f"{tmp_path}/{n}:{line}" for n in ("a.yaml", "b.yaml") for line in (3, 15)
    ]


# --- JSON ---


def test_truncated_json(program):
    text = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "List",
            "items": [pod("nginx", name=f"n{n}") for n in range(20)],
        },
        indent=4,
    )
    for cut in (len(text) // 2, len(text) - 3, 30):
        part = text[:cut]
        plan = program.plan(part, status=2)
        assert [e["document"] for e in plan["errors"]] == [f"-:{part.count(chr(10)) + 1}"], cut


def test_broken_json_after_good_json(program):
    good = json.dumps(pod("nginx", name="one"), indent=2)
    lines = good.count("\n") + 1
    plan = program.plan(good + '\n{"kind": "Pod",\n "spec": nonsense}\n', status=2)
    assert names(plan) == ["one"]
    assert [e["document"] for e in plan["errors"]] == [f"-:{lines + 2}"]


@pytest.mark.parametrize(
    "value", ["01", "+1", "1.", "NaN", "'x'", "tru", '"\\x"', '"\t"', "[1,]", '{"a":1,}']
)
def test_what_is_no_json(program, value):
    text = '{"apiVersion": "v1",\n "kind": "Pod",\n "x": ' + value + "}\n"
    plan = program.plan(text, status=2)
    assert [e["document"] for e in plan["errors"]] == ["-:3"]


def test_no_utf8(program):
    text = json.dumps(pod("nginx")).encode().replace(b"nginx", b"ng\xffinx")
    assert program.plan(text, status=2)["errors"]
    text = dump(pod("nginx")).encode().replace(b"nginx", b"ng\xffinx")
    assert program.plan(text, status=2)["errors"]


# --- files that are none ---


@pytest.mark.parametrize(
    "content",
    [
        bytes(range(256)) * 20,
        b"\x7fELF\x02\x01\x01\x00" + bytes(4000),
        b"\x1f\x8b\x08\x00" + bytes(99),
        b"\x00",
        dump(pod("nginx")).encode("utf-16"),
        dump(pod("nginx")).encode("utf-16-be"),
    ],
    ids=["all bytes", "ELF", "gzip", "NUL", "UTF-16", "UTF-16 without a mark"],
)
def test_binary(program, content, tmp_path):
    """An error that names the file and a line, on a stream of valid UTF-8; a good file beside it is
    still planned."""
    (tmp_path / "binary").write_bytes(content)
    (tmp_path / "good.yaml").write_text(GOOD)
    result = program(
        "plan",
        "--policies",
        OURS,
        "-o",
        "json",
        "-f",
        tmp_path / "binary",
        "-f",
        tmp_path / "good.yaml",
        status=2,
    )
    plan = check_plan(result.json())
    assert names(plan) == ["first"] and plan["errors"]
    for error in plan["errors"]:
        assert re.fullmatch(
            rf"{re.escape(str(tmp_path))}/binary:[1-9]\d*", error["document"]
        ), error


def test_missing_files_and_directories(program, tmp_path):
    """An error in the output, as of a document that cannot be read."""
    for name, why in ((tmp_path / "missing.yaml", "No such file"), (tmp_path, "directory")):
        for output in ("table", "patch"):
            result = program("plan", "--policies", OURS, "-o", output, "-f", name, status=2)
            assert f"{name}: " in result.err and why.lower() in result.err.lower(), result.err
            assert "Pod" not in result.out
        result = program("plan", "--policies", OURS, "-o", "json", "-f", name, status=2)
        plan = check_plan(result.json())
        assert plan["images"] == [] and result.err == ""
        assert [e["document"] for e in plan["errors"]] == [f"{name}:0"], plan["errors"]
        assert why.lower() in plan["errors"][0]["message"].lower(), plan["errors"]


def test_a_missing_file_among_others(program, tmp_path):
    """The others are done, whether before or after it; each that is missing is named."""
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(yaml_pod(name))
    files = [tmp_path / f"{name}.yaml" for name in ("x", "a", "y", "b", "z")]
    given = [word for file in files for word in ("-f", file)]
    plan = check_plan(program("plan", "--policies", OURS, "-o", "json", *given, status=2).json())
    assert names(plan) == ["a", "b"]
    assert [e["document"] for e in plan["errors"]] == [f"{files[n]}:0" for n in (0, 2, 4)]
    result = program("plan", "--policies", OURS, *given, status=2)
    assert "Pod/a" in result.out and "Pod/b" in result.out and "2 images" in result.out
    assert all(f"{files[n]}: " in result.err for n in (0, 2, 4)), result.err
    patched = program("plan", "--policies", OURS, "-o", "patch", *given, status=2)
    assert [json.loads(line)["name"] for line in patched.out.splitlines()] == ["a", "b"]


def test_empty_files(program, tmp_path):
    (tmp_path / "empty").touch()
    plan = check_plan(
        program("plan", "--policies", OURS, "-o", "json", "-f", tmp_path / "empty").json()
    )
    assert plan["images"] == plan["errors"] == []


# --- made to take for ever ---


def laughs(leaf, middle, levels=40, width=9):
    lines = [f"l0: &l0 {leaf}"]
    for n in range(1, levels):
        lines.append(f"l{n}: &l{n} " + middle.format(",".join([f"*l{n - 1}"] * width)))
    return "\n".join(lines) + "\n"


FOREVER = {
    "lists": laughs("lol", "[{}]"),
    "maps": "\n".join(
        ["l0: &l0 {}"] + [f"l{n}: &l{n} {{a: *l{n - 1}, b: *l{n - 1}}}" for n in range(1, 60)]
    )
    + "\n",
    "merges of nothing": laughs("{}", "{{<<: [{}]}}"),
    "merges of something": laughs("{a: 1}", "{{<<: [{}]}}"),
    "long texts": laughs("x" * 100000, "[{}]", levels=6),
    "keys": laughs("lol", "{{? [{}] : 1}}"),
}


@pytest.mark.parametrize("what", FOREVER)
def test_aliases_that_multiply(program, what):
    """Bounded in time and memory, and the next document is still read."""
    text = "kind: Pod\napiVersion: v1\n" + FOREVER[what] + "---\n" + LAST
    result = program.measure(
        "plan", "--policies", OURS, "-o", "json", stdin=text, status=0 if what == "keys" else 2
    )  # keys are not expanded
    plan = check_plan(result.json())
    assert names(plan) == ["last"] and (len(plan["errors"]) == 1 or what == "keys")
    assert result.cpu < 3 and result.memory < 300, result


def deep_block(levels):
    return "".join(" " * n + "a:\n" for n in range(levels))


@pytest.mark.parametrize(
    "text",
    [
        "kind: Pod\nspec: " + "[" * 10000 + "]" * 10000 + "\n",
        "kind: Pod\nspec: " + "{a: " * 10000 + "}" * 10000 + "\n",
        "kind: Pod\nspec:\n" + "- " * 10000 + "a\n",
        "kind: Pod\n" + deep_block(10000),
        "kind: Pod\nspec: " + "[" * 10000 + "\n",
        "kind: Pod\n"
        + "".join(f"a{n}: &a{n} [*a{n - 1}]\n" if n else "a0: &a0 []\n" for n in range(10000)),
    ],
    ids=["flow lists", "flow maps", "block lists", "block maps", "never closed", "through aliases"],
)
def test_deep_yaml(program, text):
    result = program.measure(
        "plan", "--policies", OURS, "-o", "json", stdin=text + "---\n" + LAST, status=2
    )
    plan = check_plan(result.json())
    assert names(plan) == ["last"] and len(plan["errors"]) == 1
    assert result.cpu < 3 and result.memory < 200, result


def test_deep_json(program):
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        text = (
            '{"kind": "Pod", "apiVersion": "v1",\n"spec": '
            + opening * 10000
            + "1"
            + closing * 10000
            + "}\n"
        )
        result = program.measure("plan", "--policies", OURS, "-o", "json", stdin=text, status=2)
        assert [e["document"] for e in check_plan(result.json())["errors"]] == ["-:2"]
        assert result.cpu < 1 and result.memory < 100, result


def test_deep_lists(program):
    listed = pod("nginx")
    for _ in range(100):
        listed = {"apiVersion": "v1", "kind": "List", "items": [listed]}
    plan = program.plan(json.dumps(listed), status=2)
    assert len(plan["errors"]) == 1 and plan["images"] == []


def test_many_documents(program):
    """Ten thousand documents in one file, each broken one with its line: no time that grows with
    the square."""
    text = "".join(
        yaml_pod(f"p{n}") + "---\n" + ("a: [\n---\n" if n % 100 == 0 else "") for n in range(10000)
    )
    result = program.measure("plan", "--policies", OURS, "-o", "json", stdin=text, status=2)
    plan = check_plan(result.json())
    assert plan["summary"]["images"] == 10000 and len(plan["errors"]) == 100
    assert result.cpu < 5, result

"""The mutation script itself: what it finds, what it leaves, and how it ends. The mutants of the
real sources are run by `make mutation` only."""
import pathlib
import subprocess
import sys
import textwrap

import pytest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))
import mutate  # noqa: E402


def mutations(code):
    """(before, after) of each mutant of one function's body."""
    source = mutate.Source("a.c", "int f(int x)\n{\n" + textwrap.indent(code, "    ") + "\n}\n")
    return [(m.before, m.after) for m in source.mutants()]


@pytest.mark.parametrize("code, expected", [
    ("return a == b;", ["return a != b;"]),
    ("return a != b;", ["return a == b;"]),
    ("x = a < b;", ["x = a <= b;"]),
    ("x = a >= b;", ["x = a > b;"]),
    ("x = a && b || c;", ["x = a || b || c;", "x = a && b && c;"]),
    ("return !a(b);", ["return a(b);"]),
    ("return true;", ["return false;"]),
    ("x = false;", ["x = true;"]),
    ("x = a + 1;", ["x = a + 0;"]),
    ("x = a - 1 + b + 10;", ["x = a - 0 + b + 10;"]),
    ("f(*p, &q, a->b, c << 1, d >> 2, (e)1);", []),
    ("a++; b += 1; c = -1;", []),
    ("if (a)", ["if (!(a))"]),
    ("if (a == b)", ["if (a != b)"]),
    ("if (!a)", ["if (a)"]),
    ("while (a < b)", ["while (!(a < b))", "while (a <= b)"]),
    ("else if (f(a) && b)", ["else if (!(f(a) && b))", "else if (f(a) || b)"]),
    ("return a ? b : c;", ["return !(a) ? b : c;"]),
    ("x = a == 1 ? b : c;", ["x = a != 1 ? b : c;"]),
    ("x = y, z = f(a) ? b : c ? d : e;",
     ["x = y, z = !(f(a)) ? b : c ? d : e;", "x = y, z = f(a) ? b : !(c) ? d : e;"]),
    ("f(a, b[i] ? c : d);", ["f(a, !(b[i]) ? c : d);"]),
    ("for (;;) { f(); } return a ? b : c;", ["for (;;) { f(); } return !(a) ? b : c;"]),
    ("/* if (a == b) */ f(\"a == b ? !c : true\", '!'); // a && b", []),
    ("#define X (a == b)", []),
])
def test_mutations(code, expected):
    assert [after for _, after in mutations(code)] == expected
    assert all(before == code for before, _ in mutations(code))


def test_a_condition_of_two_lines():
    source = mutate.Source("a.c", "bool f(void)\n{\n    if (a &&\n        b)\n        c();\n}\n")
    negated = source.mutants()[0]
    assert negated.text == "bool f(void)\n{\n    if (!(a &&\n        b))\n        c();\n}\n"
    assert negated.key() == ("a.c", "f", "if (a &&", "if (!(a &&")
    assert negated.number == 3


def test_the_same_line_twice_is_told_apart_by_the_line_before():
    source = mutate.Source("a.c", "bool g(int x)\n{\n    if (a)\n        return true;\n    b();\n"
                                  "    return true;\n}\n\nbool h(void)\n{\n    return true;\n}\n")
    keys = [(m.function, m.before, m.after) for m in source.mutants()]
    assert keys == [("g", "if (a)", "if (!(a))"),
                    ("g", "if (a) return true;", "if (a) return false;"),
                    ("g", "b(); return true;", "b(); return false;"),
                    ("h", "return true;", "return false;")]


def test_every_explained_mutant_is_one_of_the_sources():
    """An entry for a line that has changed explains nothing any more."""
    explained = mutate.read_explained((HERE / "explained.txt").read_text(encoding="utf-8"))
    keys = [m.key() for m in mutate.choose_mutants(ROOT, mutate.TARGETS, False)]
    assert len(keys) == len(set(keys)), "two mutants that explained.txt cannot tell apart"
    assert len(keys) > 400
    for key, reason in explained.items():
        assert key in keys
        assert len(reason) > 20


def test_a_broken_entry_is_refused():
    with pytest.raises(ValueError, match="expected file and function"):
        mutate.read_explained("src/a.c: in f\n    - x\n    + y\n")  # no reason
    text = "# a comment\n\nsrc/a.c: in f\n    - x\n    + y\n  why\n  so\n"
    assert mutate.read_explained(text) == {("src/a.c", "f", "x", "y"): "why so"}


EXPLANATION = """
src/image/glob.c: in limit
    - return x < 10 ? x : 20;
    + return x <= 10 ? x : 20;
  Nobody asks for the limit of ten.
"""
LEAP, MINIMUM = "return x < 10 ? x : 20;", "return x < 10 ? x : 10;"


@pytest.mark.parametrize("code, test, explained, status, expected", [
    (LEAP, "limit(9) == 9 && limit(11) == 20", EXPLANATION, 0,
     "2 mutants: 1 killed, 1 explained (0 of them the same machine code), 0 survive"),
    (LEAP, "limit(11) == 20", "", 1, "survivor: src/image/glob.c:3: in limit\n"
     "    - return x < 10 ? x : 20;\n    + return x <= 10 ? x : 20;"),
    (LEAP, "limit(10) == 20", EXPLANATION, 1, "no survivor any more: src/image/glob.c: in limit"),
    (MINIMUM, "limit(11) == 10", "", 0, "1 explained (1 of them the same machine code)"),
    (LEAP, "limit(9) == 8", "", 2, "test_glob fails on the sources as they are"),
])
def test_a_whole_run(tmp_path, code, test, explained, status, expected):
    files = {
        "src/image/glob.c": f"int limit(int x)\n{{\n    {code}\n}}\n",
        "tests/unit/image/test_glob.c":
            f"int limit(int);\nint main(void)\n{{\n    return {test} ? 0 : 1;\n}}\n",
        "explained.txt": explained,
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    done = subprocess.run([sys.executable, HERE / "mutate.py", "--root", tmp_path, "--explained",
                           tmp_path / "explained.txt"], text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    assert expected in done.stdout
    assert done.returncode == status

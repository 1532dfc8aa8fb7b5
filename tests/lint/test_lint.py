"""Each rule of lint.py is broken in a copy of the tree, and must be seen there, once."""
import pathlib
import shutil
import subprocess
import sys

import pytest

import lint  # the folder of this file is on the path

LINT = pathlib.Path(lint.__file__)
ROOT = LINT.parents[2]

# Files that follow the rules; what breaks one comes last.
SOURCE = "/* A file. */\n"
HEADER = "/* A file. */\n#pragma once\n"
SCRIPT = "#!/usr/bin/env bash\n# A script.\nset -eu\n"

# check: {case: (file, text, a part of the finding, which is about the last line)}
VIOLATIONS = {
    "layers": {
        "upward": ("src/base/x.c", SOURCE + '#include "json/scanner.h"\n', "only itself"),
        "sideways": ("src/image/x.c", SOURCE + '#include "json/writer.h"\n', "expected base"),
        "the program": ("src/admit/x.c", SOURCE + '#include "webhook/log.h"\n', "admit includes"),
        "the server": ("webhook/facts/x.c", SOURCE + '#include "webhook/serve/metrics.h"\n',
                       "webhook/facts includes"),
        "certificates": ("certs/x.c", SOURCE + '#include "kube/pod.h"\n', "expected base"),
        "no layer": ("src/image/x.c", SOURCE + '# include "glob.h"\n', "says no layer"),
        "a way round": ("src/json/x.c", SOURCE + '#include "../image/glob.h"\n', "says no layer"),
        "angle brackets": ("src/base/x.c", SOURCE + "#include <kube/pod.h>\n", "includes kube"),
        "unknown layer": ("src/other/x.c", SOURCE, "`other` is no layer"),
    },
    "third-party": {
        "microhttpd": ("webhook/x.c", SOURCE + "#include <microhttpd.h>\n", "microhttpd.h"),
        "gnutls": ("src/base/x.c", SOURCE + "#include <gnutls/x509.h>\n", "gnutls/x509.h"),
        "openssl": ("src/kube/x.c", SOURCE + "#include <openssl/evp.h>\n", "openssl/evp.h"),
        "yaml": ("src/policy/x.c", SOURCE + "#include <yaml.h>\n", "yaml.h"),
        "jansson": ("src/json/x.c", SOURCE + "#include <jansson.h>\n", "jansson.h"),
        "curl": ("src/kube/x.c", SOURCE + "#include <curl/curl.h>\n", "curl/curl.h"),
        "quoted": ("webhook/x.c", SOURCE + '#include "yaml.h"\n', "yaml.h"),
        "stale list": ("src/yaml/yaml.c", SOURCE, "is listed in lint.py for yaml"),
    },
    "pure-engine": {
        "clock": ("src/kube/x.c", SOURCE + "x = time(NULL);\n", "`time` reads the clock"),
        "monotonic": ("src/kube/x.c", SOURCE + "clock_gettime(c, &t);\n", "reads the clock"),
        "environment": ("src/base/x.c", SOURCE + "\ngetenv (x);\n", "environment"),
        "printf": ("src/base/x.c", SOURCE + "printf(x);\n", "writes to stdout"),
        "stderr": ("src/base/x.c", SOURCE + "fputs(x, stderr);\n", "writes to stdout"),
        "exit": ("src/yaml/x.c", SOURCE + "exit(1);\n", "ends the process"),
        "abort": ("src/yaml/x.c", SOURCE + "abort();\n", "ends the process"),
        "exit beside abort": ("src/base/memory.c", SOURCE + "exit(1);\n", "ends the process"),
        "waiting": ("src/yaml/x.c", SOURCE + "nanosleep(a, b);\n", "waits"),
    },
    "banned-functions": {
        name: ("tests/x.c", SOURCE + f"\nx = {name}(a, b);\n", f"`{name}`")
        for name in "strcpy strcat sprintf strtok gets atoi strncpy alloca".split()
    },
    "opening-comments": {
        "none": ("webhook/x.c", "#include <stdio.h>\n", "comment"),
        "empty": ("webhook/x.c", "/**/\n", "comment"),
        "blank": ("webhook/x.c", "/* */\n", "comment"),
        "header": ("src/base/x.h", "#pragma once\n", "comment"),
        "pragma": ("src/base/x.h", SOURCE, "pragma once"),
    },
    "columns": {
        "C": ("src/base/x.c", SOURCE + "// " + "x" * 98 + "\n", "101 columns"),
        "header": ("src/base/x.h", HEADER + "// " + "x" * 98 + "\n", "101 columns"),
    },
    "unfinished": {
        word: ("webhook/x.c", SOURCE + f"/* {word}: later */\n", word)
        for word in ("TO" "DO", "FIX" "ME", "XX" "X")
    },
    "machine-paths": {
        folder: ("docs/x.md", f"see\n`/{folder}/someone/x`\n", folder)
        for folder in ("home", "root", "work", "Users")
    },
    "citations": {
        "no page": ("src/base/x.c", SOURCE + "/* docs/" "missing.md#size */\n", "no heading"),
        "no heading": ("webhook/x.c", SOURCE + "/* docs/" "contracts.md#missing */\n", "no heading"),
        "a recording": ("src/base/x.c", SOURCE + "/* as recorded (0000). */\n", "recording 0000"),
        "one of two": ("src/base/x.c", SOURCE + "/* (1002, 0001) */\n", "recording 0001"),
    },
    "headers-compile": {
        "needs another": ("src/base/x.h", HEADER + "size_t length(const char *text);\n", "size_t"),
        "no C": ("webhook/x.h", HEADER + "int f(;\n", "expected"),
    },
    "shellcheck": {
        "quotes": ("deploy/x.sh", SCRIPT + "echo $1\n", "SC2086"),
        "no suffix": (".ci/run", SCRIPT + "cd $1\n", "SC2086"),
    },
}

# check: {case: (file, text)} of what looks like a violation and is none
FINE = {
    "layers": {
        "below": ("src/policy/x.c", SOURCE + '#include "yaml/yaml.h"\n#include <time.h>\n'),
        "above all": ("webhook/cli/x.c", SOURCE + '#include "certs/authority.h"\n'),
    },
    "pure-engine": {
        "literals": ("src/base/x.c", SOURCE + '/* time( */ "exit(1) \\" getenv("; // printf(\n'),
        "other names": ("src/base/x.c", SOURCE + "snprintf(a); run_time(b); r->exit_status;\n"),
        "other layers": ("webhook/x.c", SOURCE + "printf(a); time(NULL); exit(1);\n"),
        "memory": ("src/base/memory.c", SOURCE + "fprintf(stderr, x);\nabort();\n"),
    },
    "banned-functions": {
        "other names": ("src/base/x.c", SOURCE + "snprintf(a); my_strcpy(b); x.gets = y;\n"),
    },
    "columns": {
        "as wide": ("src/base/x.c", SOURCE + "// " + "é" * 97 + "\n"),
        "data": ("tests/x.json", "x" * 101),
        "a test": ("tests/unit/base/x.c", "// " + "x" * 98 + "\n"),
    },
    "unfinished": {
        "mkdtemp": ("webhook/x.c", SOURCE + 'x = "/tmp/x.XXXXXX";\n'),
    },
    "machine-paths": {
        "ours": ("docs/x.md", "see src/work/x and $x/home/ and the folder home/\n"),
        "data": ("tests/data/x.json", '{"home": "/' + 'home/x/"}\n'),
    },
    "citations": {
        "a heading": ("webhook/x.c", SOURCE + "/* docs/contracts.md#audit-annotations */\n"),
        "a recording": ("src/base/x.c", SOURCE + "/* as recorded (1002). */\n"),
        "a call": ("src/base/x.c", SOURCE + "x = f(4096);\n"),
        "elsewhere": ("docs/x.md", "the year (1234)\n"),
    },
    "headers-compile": {
        "whole": ("webhook/x.h", HEADER + '#include "json/writer.h"\nvoid f(struct slice s);\n'),
    },
}


def cases(table):
    """Parameters: each check's name and one case of it, named."""
    return [pytest.param(check, *case, id=f"{check}: {name}")
            for check, of_check in table.items() for name, case in of_check.items()]


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The program's sources, without git: the lint finds its files by itself."""
    root = tmp_path_factory.mktemp("tree")
    for folder in ("src", "certs", "webhook", "docs", "tests/data/harbor"):
        shutil.copytree(ROOT / folder, root / folder)
    return root


def findings(root, name, file=None):
    """What a check finds, as texts; with `file` in a tree of that file only."""
    tree = lint.Tree(root)
    if file:
        tree.names = [file]
    return [f"{where}:{line}: {text}" for where, line, text in lint.CHECKS[name](tree)]


@pytest.fixture
def put(copy):
    """Writes a file into the copy; afterwards all is as before."""
    written = {}

    def write(name, text):
        path = copy / name
        written[path] = path.read_bytes() if path.exists() else None
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    yield write
    for path, before in written.items():
        if before is None:
            path.unlink()
        else:
            path.write_bytes(before)


def run(*arguments):
    return subprocess.run([sys.executable, LINT, *arguments], text=True, capture_output=True,
                          check=False)


def look(root, name, file):
    # the list of third-party files is checked against the whole tree
    return findings(root, name, None if name == "third-party" else file)


def test_every_check_has_a_case():
    assert VIOLATIONS.keys() == lint.CHECKS.keys()


@pytest.mark.parametrize("check, file, text, part", cases(VIOLATIONS))
def test_violation_is_found(copy, put, check, file, text, part):
    put(file, text)
    found = look(copy, check, file)
    assert len(found) == 1 and part in found[0], found
    assert found[0].startswith(f"{file}:{len(text.splitlines())}: "), found


@pytest.mark.parametrize("check, file, text", cases(FINE))
def test_what_is_fine_is_not_found(copy, put, check, file, text):
    put(file, text)
    assert not look(copy, check, file)


def test_files_are_those_of_git_where_there_is_git(copy):
    """Also those that are not committed yet; not those that git ignores."""
    names = lint.list_files(ROOT)
    assert "tests/lint/lint.py" in names and "Makefile" in names
    assert not any(name.startswith("build/") for name in names)
    assert "src/admit/admit.c" in lint.list_files(copy)


@pytest.mark.parametrize("line, verdict, status", [("int x;", "ok columns", 0),
                                                   ("/" * 101, "not ok columns", 1)])
def test_verdict_and_exit_status(tmp_path, line, verdict, status):
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "x.c").write_text(line + "\n")
    done = run("--root", tmp_path, "--only", "columns")
    assert (done.stdout.splitlines()[-1], done.returncode) == (verdict, status)
    assert len(done.stdout.splitlines()) == 1 + status


def test_verbose_prints_figures():
    done = run("--verbose", "--only", "opening-comments")
    for part in ("ok opening-comments", "functions of complexity over 15", "lines of C",
                 "the program", "clang-format would change"):
        assert part in done.stdout, done.stdout

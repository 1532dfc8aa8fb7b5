"""Each rule of lint.py is broken once in a copy of the tree, and must be seen there, once."""
import pathlib
import shutil
import subprocess
import sys

import pytest

import lint  # the folder of this file is on the path

LINT = pathlib.Path(lint.__file__)
ROOT = LINT.parents[2]

# A file that follows the rules; a case puts its violation at the end of it, or in its place.
SOURCE = "/* A file. */\n"
HEADER = "/* A file. */\n#pragma once\n"
SCRIPT = "#!/usr/bin/env bash\n# A script.\nset -eu\n"

CASES = {
    # name: (check, file, text, line of the finding, a part of its text)
    "upward include": ("layers", "src/base/x.c", SOURCE + '#include "json/scanner.h"\n', 2, "only itself"),
    "sideways include": ("layers", "src/image/x.c", SOURCE + '#include "json/writer.h"\n', 2, "expected base"),
    "engine includes the program": ("layers", "src/admit/x.c", SOURCE + '#include "webhook/log.h"\n', 2,
                                    "admit includes webhook"),
    "certificates include the engine": ("layers", "certs/x.c", SOURCE + '#include "kube/pod.h"\n', 2,
                                        "expected base"),
    "include without a layer": ("layers", "src/image/x.c", SOURCE + '# include "glob.h"\n', 2,
                                "says no layer"),
    "include by a way round": ("layers", "src/json/x.c", SOURCE + '#include "../image/glob.h"\n', 2,
                               "says no layer"),
    "layer in angle brackets": ("layers", "src/base/x.c", SOURCE + "#include <kube/pod.h>\n", 2, "kube"),
    "unknown layer": ("layers", "src/other/x.c", SOURCE, 1, "`other` is no layer"),
    "microhttpd": ("third-party", "webhook/x.c", SOURCE + "#include <microhttpd.h>\n", 2, "microhttpd.h"),
    "gnutls": ("third-party", "src/base/x.c", SOURCE + "#include <gnutls/x509.h>\n", 2, "gnutls/x509.h"),
    "openssl": ("third-party", "src/kube/x.c", SOURCE + "#include <openssl/evp.h>\n", 2, "openssl/evp.h"),
    "yaml": ("third-party", "src/policy/x.c", SOURCE + "#include <yaml.h>\n", 2, "yaml.h"),
    "jansson": ("third-party", "src/json/x.c", SOURCE + "#include <jansson.h>\n", 2, "no file yet"),
    "curl": ("third-party", "webhook/x.c", SOURCE + "#include <curl/curl.h>\n", 2, "no file yet"),
    "quoted library": ("third-party", "webhook/x.c", SOURCE + '#include "jansson.h"\n', 2, "jansson.h"),
    "stale list": ("third-party", "src/yaml/yaml.c", SOURCE, 1, "is listed in lint.py for yaml"),
    "clock": ("pure-engine", "src/kube/x.c", SOURCE + "x = time(NULL);\n", 2, "`time` reads the clock"),
    "monotonic clock": ("pure-engine", "src/kube/x.c", SOURCE + "clock_gettime(c, &t);\n", 2, "clock"),
    "environment": ("pure-engine", "src/base/x.c", SOURCE + "\ngetenv (x);\n", 3, "environment"),
    "printf": ("pure-engine", "src/base/x.c", SOURCE + "printf(x);\n", 2, "writes to stdout"),
    "stderr": ("pure-engine", "src/base/x.c", SOURCE + "fputs(x, stderr);\n", 2, "writes to stdout"),
    "exit": ("pure-engine", "src/yaml/x.c", SOURCE + "exit(1);\n", 2, "ends the process"),
    "abort": ("pure-engine", "src/yaml/x.c", SOURCE + "abort();\n", 2, "ends the process"),
    "waiting": ("pure-engine", "src/yaml/x.c", SOURCE + "nanosleep(a, b);\n", 2, "waits"),
    **{function: ("banned-functions", "tests/x.c", SOURCE + f"\nx = {function}(a, b);\n", 3, function)
       for function in "strcpy strcat sprintf strtok gets atoi strncpy alloca".split()},
    "no purpose": ("opening-comments", "webhook/x.c", "#include <stdio.h>\n/* late */\n", 1, "comment"),
    "empty purpose": ("opening-comments", "webhook/x.c", "/**/\n", 1, "comment"),
    "header without purpose": ("opening-comments", "src/base/x.h", "#pragma once\n", 1, "comment"),
    "header without pragma": ("opening-comments", "src/base/x.h", SOURCE, 1, "pragma once"),
    "long line of C": ("columns", "src/base/x.c", SOURCE + "// " + "x" * 98 + "\n", 2, "101 columns"),
    "long line of Python": ("columns", "tests/x.py", "x" * 101 + "\n", 1, "101 columns"),
    "long line of shell": ("columns", "tests/x.sh", SCRIPT + "x" * 101 + "\n", 4, "101 columns"),
    **{word: ("unfinished", "webhook/x.c", SOURCE + f"/* {word}: later */\n", 2, word)
       for word in ("TO" "DO", "FIX" "ME", "XX" "X")},
    **{f"path in {folder}": ("machine-paths", "docs/x.md", f"see\n`/{folder}/someone/x`\n", 2, folder)
       for folder in ("home", "root", "work", "Users")},
    "header that needs another": ("headers-compile", "src/base/x.h", HEADER + "struct slice s(void);\n"
                                  "size_t f(struct slice *s);\n", 4, "size_t"),
    "header that does not compile": ("headers-compile", "webhook/x.h", HEADER + "int f(;\n", 3, "expected"),
    "shell": ("shellcheck", "deploy/x.sh", SCRIPT + "echo $1\n", 4, "SC2086"),
    "shell without a suffix": ("shellcheck", ".ci/run", SCRIPT + "cd $1\n", 4, "SC2086"),
}

# What looks like a violation and is none.
FINE = {
    "comments and literals": ("pure-engine", "src/base/x.c",
                              SOURCE + '/* time( */ char *s = "exit(1) \\" getenv("; // printf(\n'),
    "other names": ("pure-engine", "src/base/x.c", SOURCE + "snprintf(a); run_time(b); r->exit_status;\n"),
    "members of that name": ("banned-functions", "src/base/x.c", SOURCE + "snprintf(a); my_strcpy(b);\n"),
    "exactly as wide": ("columns", "src/base/x.c", SOURCE + "// " + "é" * 97 + "\n"),
    "a template of mkdtemp": ("unfinished", "webhook/x.c", SOURCE + 'x = "/tmp/x.XXXXXX";\n'),
    "a folder of ours": ("machine-paths", "docs/x.md", "see src/work/x and $x/home/ and ~/home\n"),
    "data": ("machine-paths", "tests/data/x.json", '{"home": "/home/x/"}\n'),
    "a layer below": ("layers", "src/policy/x.c", SOURCE + '#include "yaml/yaml.h"\n#include <time.h>\n'),
    "a header": ("headers-compile", "webhook/x.h", HEADER + '#include "json/writer.h"\n'),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """The program's sources, without git: the lint finds its files by itself."""
    root = tmp_path_factory.mktemp("tree")
    for folder in ("src", "certs", "webhook"):
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


def look(root, name, file):
    # the list of third-party files is checked against the whole tree
    return findings(root, name, None if name == "third-party" else file)


@pytest.mark.parametrize("case", CASES)
def test_violation_is_found(copy, put, case):
    name, file, text, line, part = CASES[case]
    put(file, text)
    found = look(copy, name, file)
    assert len(found) == 1 and found[0].startswith(f"{file}:{line}: ") and part in found[0], found


@pytest.mark.parametrize("case", FINE)
def test_what_is_fine_is_not_found(copy, put, case):
    name, file, text = FINE[case]
    put(file, text)
    assert not look(copy, name, file)


def test_files_are_those_of_git_where_there_is_git(copy):
    """Also those that are not committed yet; not those that git ignores."""
    names = lint.list_files(ROOT)
    assert "tests/lint/lint.py" in names and "Makefile" in names
    assert not any(name.startswith("build/") for name in names)
    assert "src/admit/admit.c" in lint.list_files(copy)


@pytest.mark.parametrize("line, verdict, status", [("int x;", "ok columns", 0),
                                                   ("/" * 101, "not ok columns", 1)])
def test_verdict_and_exit_status(tmp_path, line, verdict, status):
    (tmp_path / "x.c").write_text(line + "\n")
    done = subprocess.run([sys.executable, LINT, "--root", tmp_path, "--only", "columns"], text=True,
                          capture_output=True, check=False)
    assert (done.stdout.splitlines()[-1], done.returncode) == (verdict, status)
    assert len(done.stdout.splitlines()) == 1 + status


def test_verbose_prints_figures():
    done = subprocess.run([sys.executable, LINT, "--verbose", "--only", "opening-comments"], text=True,
                          capture_output=True, check=False)
    for part in ("ok opening-comments", "functions of complexity over 15", "lines of C", "the program",
                 "clang-format would change"):
        assert part in done.stdout, done.stdout

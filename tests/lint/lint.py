"""Rules of this project that no compiler checks. Each check prints its findings as `file:line:
text`, then `ok NAME` or `not ok NAME`; the exit status is 1 when any failed.

    lint.py [--verbose] [--only NAME]... [--root DIRECTORY]

With --verbose also figures that no rule is made of: the most complex functions, the longest files,
lines per folder, and how far the tree is from clang-format's own."""
import argparse
import collections
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

MAX_COLUMNS = 100  # of the program; tests hold texts as they are
MAX_COMPLEXITY, MAX_FUNCTION_LINES, MAX_FILE_LINES = 15, 80, 700
GENERATED = {".git", "__pycache__", ".pytest_cache", "build"}  # where there is no git to ask

# Folders are layers: each may include itself and these.
SOURCE_LAYERS = ["base", "json", "image", "yaml", "kube", "harbor", "policy", "decide", "admit"]
COMMON = [*SOURCE_LAYERS, "webhook", "webhook/common"]
LAYERS = {
    "base": [],
    "json": ["base"],
    "image": ["base"],
    "yaml": ["base", "json"],
    "kube": ["base", "json"],
    "harbor": ["base", "image", "json"],
    "policy": ["base", "harbor", "image", "yaml"],
    "decide": ["base", "harbor", "image", "json", "kube", "policy"],
    "admit": SOURCE_LAYERS,
    "certs": ["base"],
    "webhook": SOURCE_LAYERS,
    "webhook/common": COMMON,
    "webhook/facts": COMMON,
    "webhook/kube": COMMON,
    "webhook/serve": [*COMMON, "webhook/facts", "certs"],
    "webhook/cli": [*COMMON, "webhook/facts", "webhook/kube", "webhook/serve", "certs"],
}

# It shows the tables of all the others.
SHOWS_ALL = "webhook/interface.c"

# The files that may include a library's headers; version.c asks each library for its version.
THIRD_PARTY = {
    "microhttpd": ["webhook/serve/connections.h", "webhook/serve/http.h", "webhook/version.c"],
    "gnutls": ["webhook/serve/clients.c", "webhook/serve/gather.c", "webhook/serve/tls.c", "webhook/version.c"],
    "openssl": ["certs/authority.c", "certs/inspect.c", "certs/openssl.c", "certs/openssl.h",
                "src/base/base64.c", "src/base/digest.c", "webhook/version.c"],
    "yaml": ["src/yaml/yaml.c", "webhook/version.c"],
    "jansson": ["webhook/interface.c", "webhook/version.c"],
    "curl": ["webhook/facts/http_client.c", "webhook/kube/client.c"],
}

BANNED = "strcpy strcat sprintf vsprintf strtok gets atoi strncpy alloca".split()

# What the engine leaves to its callers, and why each is asked for.
IMPURE = [
    (r"\b(?:time|clock|clock_gettime|gettimeofday|localtime|localtime_r|gmtime|ftime)\s*\(",
     "reads the clock: time is a parameter"),
    (r"\b(?:getenv|secure_getenv|setenv|putenv)\s*\(|\benviron\b",
     "reads the environment: settings are parameters"),
    (r"\b(?:printf|vprintf|puts|putchar|perror|syslog)\s*\(|\b(?:stdout|stderr)\b",
     "writes to stdout or stderr: give the text to the caller"),
    (r"\b(?:exit|_exit|_Exit|quick_exit|abort)\s*\(", "ends the process: return false"),
    (r"\b(?:sleep|usleep|nanosleep|poll|select|epoll_wait|pthread_cond_wait)\s*\(",
     "waits: what is missing is a result"),
]
# Out of memory is the one thing that ends the process (base/memory.h).
MAY_ABORT = ["src/base/memory.c", "src/yaml/yaml.c"]

# Spelled so that they do not find themselves.
UNFINISHED = re.compile(r"\b(?:TO[D]O|FIX[M]E|XX[X])\b")
MACHINE_PATH = re.compile(r"(?<![\w.*)}>-])/(?:root|home|work|Users)/")
DATA = (".json", ".yaml", ".yml")
CORPORA = ("tests/fuzz/corpus/", "tests/fuzz/regression/")

CHECKS = {}


def check(function):
    """Registers a check under its own name. It yields findings: (file, line, text)."""
    CHECKS[function.__name__.replace("_", "-")] = function
    return function


# --- the tree ---

def run(command, root):
    return subprocess.run(command, cwd=root, text=True, errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def list_files(root):
    """Names of the files that are or would be committed."""
    if (root / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=root, capture_output=True, check=True).stdout.decode()
        return sorted(n for n in set(listed.split("\0")) if n and (root / n).is_file())
    names = []
    for folder, folders, files in os.walk(root):
        folders[:] = [f for f in folders if f not in GENERATED and not f.startswith("build-")]
        names += [str((pathlib.Path(folder) / f).relative_to(root)) for f in files]
    return sorted(names)


def blank(match):
    """A comment or literal as spaces, so that what is left keeps its lines and columns."""
    return re.sub(r"[^\n]", " ", match[0])


COMMENT_OR_LITERAL = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.S | re.X)


class Tree:
    def __init__(self, root):
        self.root = root
        self.names = list_files(root)
        self.texts = {}

    def files(self, *suffixes, under=("",)):
        return [n for n in self.names if n.endswith(suffixes) and n.startswith(tuple(under))]

    def text(self, name):
        """The text of a file; empty for what is not UTF-8."""
        if name not in self.texts:
            try:
                self.texts[name] = (self.root / name).read_text(encoding="utf-8")
            except UnicodeDecodeError:
                self.texts[name] = ""
        return self.texts[name]

    def lines(self, name):
        return enumerate(self.text(name).splitlines(), 1)

    def code(self, name):
        """Numbered lines of a C file without comments and literals."""
        return enumerate(COMMENT_OR_LITERAL.sub(blank, self.text(name)).splitlines(), 1)

    def program(self, *suffixes):
        """The files that make the program, not its tests."""
        return self.files(*suffixes, under=("src/", "certs/", "webhook/"))


def layer_of(name):
    """The folder of a file, or of a header as it is included, without `src/`."""
    return name.removeprefix("src/").rpartition("/")[0]


# --- checks ---

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def includes(tree, name):
    for number, line in tree.lines(name):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1] == '"', match[2]


@check
def layers(tree):
    """Includes point one way, and each says its layer."""
    for name in tree.program(".c", ".h"):
        own = layer_of(name)
        if own not in LAYERS:
            yield name, 1, f"`{own}` is no layer, expected one of {', '.join(LAYERS)}"
            continue
        for number, quoted, header in includes(tree, name):
            layer = layer_of(header)
            if quoted and layer not in LAYERS:
                yield name, number, f'`{header}` says no layer, expected such as "image/glob.h"'
            elif layer in LAYERS and layer != own and layer not in LAYERS[own] and name != SHOWS_ALL:
                yield name, number, (f"{own} includes {layer}, expected "
                                     f"{', '.join(LAYERS[own]) or 'only itself'}")


@check
def third_party(tree):
    """Each library is known in a few files only, and the list of them is true."""
    found = set()
    for name in tree.program(".c", ".h"):
        for number, quoted, header in includes(tree, name):
            library = re.split(r"[/.]", header)[0]
            if library not in THIRD_PARTY or quoted and "/" in header:
                continue  # "yaml/yaml.h" is our own
            found.add((library, name))
            if name not in THIRD_PARTY[library]:
                yield name, number, (f"includes {header}, which is for "
                                     f"{', '.join(THIRD_PARTY[library]) or 'no file yet'}")
    for library, names in THIRD_PARTY.items():
        for name in names:
            if (library, name) not in found:
                yield name, 1, f"is listed in lint.py for {library}, which it does not include"


@check
def pure_engine(tree):
    """src/ has no clock, no environment, no output, no exit, no waiting."""
    for name in tree.files(".c", ".h", under=["src/"]):
        for number, line in tree.code(name):
            if name in MAY_ABORT and re.search(r"\babort\s*\(|fprintf\(stderr", line):
                continue
            for pattern, text in IMPURE:
                match = re.search(pattern, line)
                if match:
                    yield name, number, f"`{match[0].rstrip('( ')}` {text}"


@check
def banned_functions(tree):
    pattern = re.compile(r"\b(" + "|".join(BANNED) + r")\s*\(")
    for name in tree.files(".c", ".h"):
        for number, line in tree.code(name):
            for match in pattern.finditer(line):
                yield name, number, f"`{match[1]}` is banned"


@check
def opening_comments(tree):
    """A file opens with what it is for."""
    for name in tree.files(".c", ".h"):
        if not re.match(r"/\*\s*[^\s*]|//\s*\S", tree.text(name)):
            yield name, 1, "expected a comment that says what the file is for"
    for name in tree.files(".h"):
        if not re.search(r"^#pragma once$", tree.text(name), re.M):
            yield name, 1, "expected `#pragma once`"


@check
def columns(tree):
    for name in tree.program(".c", ".h"):
        for number, line in tree.lines(name):
            if len(line) > MAX_COLUMNS:
                yield name, number, f"{len(line)} columns, expected at most {MAX_COLUMNS}"


@check
def unfinished(tree):
    for name in tree.files(".c", ".h", ".py", ".sh", ".go", "Makefile", ".ci/run"):
        for number, line in tree.lines(name):
            match = UNFINISHED.search(line)
            if match:
                yield name, number, f"`{match[0]}`: do it, or open an issue"


@check
def machine_paths(tree):
    """Nothing names a folder that only one machine has."""
    for name in tree.names:
        if name.endswith(DATA) or name.startswith(CORPORA):
            continue
        for number, line in tree.lines(name):
            match = MACHINE_PATH.search(line)
            if match:
                yield name, number, f"`{match[0]}` is a path of one machine"


ANCHOR = re.compile(r"\b(docs/[\w./-]+\.md)#([\w-]+)")
# a recorded answer, (1107) or (4028, 4035); no call has a space before its parenthesis
RECORDED = re.compile(r"(?<![\w)])\((\d{4}(?:, \d{4})*)\)")
CITING = ("src/", "webhook/", "certs/", "tests/harbor/", "docs/contracts.md")


def anchors(text):
    """The names that GitHub gives to the headings of a page."""
    return {re.sub(r"[^\w -]", "", match.lower()).strip().replace(" ", "-")
            for match in re.findall(r"^#+ (.*)$", text, re.M)}


@check
def citations(tree):
    """What is cited is in the tree: a heading of docs/, an answer of tests/data/harbor."""
    recorded = {path.name[:4] for path in (tree.root / "tests/data/harbor").glob("*.http")}
    for name in tree.files(".c", ".h", ".py", ".sh", ".md", ".scd", ".yaml"):
        if name.startswith(("tests/lint/", "tests/data/")):
            continue
        for number, line in tree.lines(name):
            for page, anchor in ANCHOR.findall(line):
                if anchor not in anchors(tree.text(page) if (tree.root / page).is_file() else ""):
                    yield name, number, f"{page} has no heading `{anchor}`"
            for numbers in RECORDED.findall(line) if name.startswith(CITING) else []:
                for cited in set(numbers.split(", ")) - recorded:
                    yield name, number, f"tests/data/harbor has no recording {cited}"


def needs(tool):
    """A finding where a tool is missing: a check that did not run has not passed."""
    if not shutil.which(tool):
        yield "tests/deps.sh", 1, f"{tool} is not installed; `bash tests/deps.sh test` does it"


@check
def headers_compile(tree):
    """Each header compiles by itself, so that the order of includes never matters."""
    compiler = os.environ.get("CC", "gcc")
    missing = list(needs(compiler))
    yield from missing
    names = tree.program(".h") if not missing else []

    def compile_alone(name):
        done = run([compiler, "-std=gnu17", "-D_GNU_SOURCE", "-Isrc", "-I.", "-Wall", "-Wextra",
                    "-Werror", "-fsyntax-only", "-x", "c", "-include", name, "/dev/null"],
                   tree.root)
        match = re.search(r"^(?:\./)?(\S+?):(\d+):\d+: error: (.*)$", done.stdout, re.M)
        return name, done.returncode, match, done.stdout

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for name, status, match, output in pool.map(compile_alone, names):
            if status:
                where = (match[1], int(match[2])) if match and match[1] == name else (name, 1)
                yield *where, match[3] if match else output.strip()


@check
def shellcheck(tree):
    missing = list(needs("shellcheck"))
    yield from missing
    names = tree.files(".sh") + [n for n in tree.names if n == ".ci/run"]
    if missing or not names:
        return
    output = run(["shellcheck", "--format=gcc", *names], tree.root).stdout
    for line in output.splitlines():
        match = re.match(r"([^:]+):(\d+):\d+: (.*)", line)
        yield (match[1], int(match[2]), match[3]) if match else (names[0], 1, line)


# --- figures ---

def show_functions(tree):
    if not shutil.which("pmccabe"):
        print("functions: pmccabe is not installed")
        return
    output = run(["pmccabe", *tree.program(".c")], tree.root).stdout
    rows = []
    for line in output.splitlines():
        fields = line.split("\t")
        if len(fields) == 6:
            rows.append((int(fields[0]), int(fields[4]), fields[5]))
    print(f"functions of complexity over {MAX_COMPLEXITY} or more than {MAX_FUNCTION_LINES} lines, "
          f"of {len(rows)}:")
    for complexity, lines, where in sorted(rows, reverse=True):
        if complexity > MAX_COMPLEXITY or lines > MAX_FUNCTION_LINES:
            print(f"  {complexity:3} {lines:4} lines  {where}")


def count_lines(tree, name):
    return sum(1 for _, line in tree.code(name) if line.strip())


def show_sizes(tree):
    print(f"files of more than {MAX_FILE_LINES} lines:")
    for name in tree.files(".c", ".h", ".py", ".sh", ".go"):
        lines = tree.text(name).count("\n")
        if lines > MAX_FILE_LINES:
            print(f"  {lines:5}  {name}")
    totals = collections.Counter()
    for name in tree.files(".c", ".h"):
        parts = name.split("/")
        folder = "/".join(parts[:2]) if parts[0] in ("src", "tests") else parts[0]
        totals[folder] += count_lines(tree, name)
    print("lines of C without comments and empty lines:")
    for folder, lines in sorted(totals.items()):
        print(f"  {lines:5}  {folder}")
    program = sum(n for folder, n in totals.items() if not folder.startswith("tests"))
    print(f"  {program:5}  the program")


def show_format(tree):
    if not shutil.which("clang-format"):
        print("format: clang-format is not installed")
        return
    output = run(["clang-format", "--dry-run", *tree.program(".c", ".h")], tree.root).stdout
    found = set(re.findall(r"^([^\s:]+):(\d+):\d+: warning: code should be clang-formatted", output,
                           re.M))
    files = collections.Counter(name for name, _ in found)
    total = sum(tree.text(n).count("\n") for n in tree.program(".c", ".h"))
    print(f"clang-format would change {len(found)} of {total} lines, in {len(files)} files")
    for name, lines in files.most_common(10):
        print(f"  {lines:5}  {name}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--verbose", action="store_true", help="print figures, too")
    parser.add_argument("--only", action="append", choices=CHECKS, help="run this check")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parents[2])
    arguments = parser.parse_args()
    tree = Tree(arguments.root.resolve())
    failed = False
    for name, function in CHECKS.items():
        if arguments.only and name not in arguments.only:
            continue
        began = time.monotonic()
        findings = sorted(set(function(tree)))
        for where, line, text in findings:
            print(f"{where}:{line}: {text}")
        took = f"  # {time.monotonic() - began:.1f} s" if arguments.verbose else ""
        print(("not ok " if findings else "ok ") + name + took, flush=True)
        failed |= bool(findings)
    if arguments.verbose:
        show_functions(tree)
        show_sizes(tree)
        show_format(tree)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Flips the conditions of the decision code, one at a time, and asks whether a test notices.

    mutate.py [--file F]... [--changed] [--jobs N] [--list] [--verbose] [--root DIRECTORY]

A mutant that every test accepts is a survivor: a test is missing, or the two programs are the same.
The latter stand in explained.txt, each with its reason. Exit status 0 only where each survivor is
explained there; 1 where one is not, or where an entry explains nothing any more; 2 where the tests
fail on the sources as they are, or the tree does not compile.

How it is quick: the engine is built once as a shared library, and each test once against it. A
mutant is its one source file as a library that is loaded before (LD_PRELOAD), so that its functions
take the place of the right ones. What survives is tried again with the sanitizers, as `make test`
runs every unit test with them too: a read past the end is often all that a changed bound does."""
import argparse
import bisect
import concurrent.futures
import contextlib
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TARGETS = ["src/decide/decide.c", "src/decide/operators.c", "src/decide/workload.c",
           "src/decide/gate.c", "src/policy/findings.c", "src/harbor/harbor.c",
           "src/admit/originals.c", "src/policy/selector.c", "src/policy/set.c",
           "src/image/reference.c", "src/image/glob.c", "src/image/glob_set.c", "src/kube/patch.c",
           "src/kube/workload.c", "src/admit/admit.c", "src/admit/refusal.c"]
UNIT_FOLDERS = ["image", "kube", "policy", "decide", "admit"]
FUZZ_TARGETS = ["reference", "policy", "review"]
COPIED = ["src", "tests/unit", "tests/fuzz", "tests/data", "certs", "VERSION"]

COMPILE = ["-std=gnu17", "-D_GNU_SOURCE", "-Isrc", "-I.", "-w", "-g", "-fPIC"]
LIBRARIES = ["-Wl,--as-needed", "-lcmocka", "-ljansson", "-lyaml", "-lcrypto", "-lpthread"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

# An endless loop is known by its processor time, which other work on the machine does not change:
# ten times what the test needs, at least LEAST_CPU. The limit by the clock is for what waits.
LEAST_CPU, CPU_FACTOR, CLOCK_LIMIT = 2, 10, 120
MEMORY_LIMIT = 2 << 30


# --- where a mutation can be made ---

HIDDEN = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*' |
        ^[ \t]*\#(?:\\\n|[^\n])*""", re.S | re.X | re.M)

SWAPS = [  # a pattern on the code without comments and literals, and what takes its place
    (r"==", "!="), (r"!=", "=="),
    (r"<=", "<"), (r">=", ">"), (r"(?<= )<(?= )", "<="), (r"(?<= )>(?= )", ">="),
    (r"&&", "||"), (r"\|\|", "&&"),
    (r"!(?=[\w(*])", ""),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"),
    (r"(?<=\+ )1\b(?![.\w])", "0"), (r"(?<=- )1\b(?![.\w])", "0"),
]


class Mutant:
    """`edits` are (begin, end, replacement) in the text of the file, in rising order."""

    def __init__(self, source, edits):
        self.file, self.edits = source.name, edits
        begin = edits[0][0]
        self.number = bisect.bisect_right(source.line_starts, begin)
        self.function = source.function_at(begin)
        self.text = source.text
        for begin, end, replacement in reversed(edits):
            self.text = self.text[:begin] + replacement + self.text[end:]
        self.before = source.line(source.text, begin)
        self.after = source.line(self.text, begin)

    def key(self):
        return self.file, self.function, self.before, self.after

    def __str__(self):
        return (f"{self.file}:{self.number}: in {self.function}\n"
                f"    - {self.before}\n    + {self.after}")


class Source:
    def __init__(self, name, text):
        self.name, self.text = name, text
        self.code = HIDDEN.sub(lambda m: re.sub(r"[^\n]", "\x01", m[0]), text)
        self.line_starts = [0] + [m.end() for m in re.finditer("\n", text)]
        self.functions = [(m.start(), m[1]) for m in
                          re.finditer(r"^(?!\s|[{}#])[^\n;=]*?\b(\w+)\(", self.code, re.M)]

    def function_at(self, at):
        return next((name for begin, name in reversed(self.functions) if begin <= at), "-")

    def line(self, text, at):
        """The line there, after the one before it where the function has that line again."""
        number = bisect.bisect_right(self.line_starts, at) - 1
        lines, right = text.split("\n"), self.text.split("\n")
        same = [n for n, line in enumerate(right) if line.strip() == right[number].strip()
                and self.function_at(self.line_starts[n]) == self.function_at(at)]
        before = lines[number - 1].strip() + " " if len(same) > 1 else ""
        return before + lines[number].strip()

    def closing(self, opening):
        """Where the parenthesis that opens there is closed."""
        depth = 0
        for at in range(opening, len(self.code)):
            depth += (self.code[at] in "([{") - (self.code[at] in ")]}")
            if depth == 0:
                return at
        raise ValueError(f"{self.name}: a parenthesis is never closed")

    def condition_start(self, question):
        """Where the condition of the `?` there begins: in an expression only `=`, `,`, `?` and
        `:` bind weaker."""
        depth, at = 0, question
        while at > 0:
            at -= 1
            c = self.code[at]
            if depth == 0 and c in "([{},;?:":
                break
            if c in ")]}":
                depth += 1
            elif c in "([{":
                depth -= 1
            elif (depth == 0 and c == "=" and self.code[at + 1] != "="
                  and self.code[at - 1] not in "=!<>"):
                break
        begin = at + 1
        keyword = re.compile(r"\s*(?:return\b\s*)?").match(self.code, begin)
        return keyword.end()

    def mutants(self):
        found = []
        for pattern, replacement in SWAPS:
            for m in re.finditer(pattern, self.code):
                found.append([(m.start(), m.end(), replacement)])
        for m in re.finditer(r"\b(?:if|while) \(", self.code):
            opening, end = m.end() - 1, self.closing(m.end() - 1)
            condition = self.code[m.end():end].strip()
            if not is_swapped_anyway(condition):
                found.append([(opening + 1, opening + 1, "!("), (end, end, ")")])
        for m in re.finditer(r"\?", self.code):
            begin = self.condition_start(m.start())
            end = begin + len(self.code[begin:m.start()].rstrip())
            if not is_swapped_anyway(self.code[begin:end]):
                found.append([(begin, begin, "!("), (end, end, ")")])
        return [Mutant(self, edits) for edits in sorted(found)]


def is_swapped_anyway(condition):
    """Whether another mutation negates it already: `a == b`, `!a`."""
    if re.search(r"&&|\|\||\?", condition):
        return False
    comparisons = re.findall(r"[=!]=|[<>]=| [<>] ", condition)
    return comparisons in (["=="], ["!="]) or (condition.startswith("!") and not comparisons)


# --- what is explained ---

ENTRY = re.compile(r"^(\S+): in (\S+)\n    - (.*)\n    \+ (.*)\n((?:  .*\n)+)", re.M)


def read_explained(text):
    """{key: reason}; ValueError where a block is none of the entries described in the file."""
    entries = {}
    for block in re.split(r"\n\s*\n", re.sub(r"^#.*\n?", "", text, flags=re.M)):
        if not block.strip():
            continue
        m = ENTRY.fullmatch(block.strip("\n") + "\n")
        if not m:
            raise ValueError("explained.txt: no entry, expected file and function, `- `, `+ ` and "
                             f"a reason:\n{block}")
        entries[m[1], m[2], m[3].strip(), m[4].strip()] = " ".join(m[5].split())
    return entries


# --- building and running ---

class Failure(Exception):
    """The tree as it is cannot be tested."""


def call(command, root):
    done = subprocess.run(command, cwd=root, text=True, errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise Failure(" ".join(map(str, command)) + "\n" + done.stdout)


class Test:
    def __init__(self, name, sources, arguments=()):
        self.name, self.sources, self.arguments = name, sources, list(arguments)
        self.cpu = {}  # seconds that it needs, by variant


def find_tests(root):
    tests = [Test(str(path.relative_to(root))[:-2], [str(path.relative_to(root))])
             for folder in UNIT_FOLDERS
             for path in sorted((root / "tests/unit" / folder).glob("test_*.c"))]
    for target in FUZZ_TARGETS:
        source = f"tests/fuzz/fuzz_{target}.c"
        folders = [f"tests/fuzz/{kind}/{target}" for kind in ("corpus", "regression")
                   if (root / "tests/fuzz" / kind / target).is_dir()]
        if folders and (root / source).exists():
            tests.append(Test(f"tests/fuzz/fuzz_{target}", [source, "tests/fuzz/replay.c"],
                              folders))
    return tests


class Build:
    """The engine and its tests, built once; `flags` are the variant's."""

    def __init__(self, name, root, compiler, flags, jobs):
        self.name, self.root, self.compiler, self.flags = name, root, compiler, flags
        self.tests = find_tests(root)
        self.folder = root / "mutation-build" / name
        self.folder.mkdir(parents=True)
        sources = sorted(str(p.relative_to(root)) for p in root.glob("src/*/*.c"))
        tests = sorted({s for t in self.tests for s in t.sources})
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(self.compile, sources + tests))
            self.link(["-shared", "-o", self.folder / "libengine.so",
                       *map(self.object, sources)])
            list(pool.map(self.link_test, self.tests))

    def object(self, source):
        return self.folder / (source.replace("/", "-")[:-2] + ".o")

    def program(self, test):
        return self.folder / test.name.replace("/", "-")

    def compile(self, source):
        call([self.compiler, *COMPILE, "-O1", *self.flags, "-c", "-o", self.object(source), source],
             self.root)

    def link(self, arguments):
        call([self.compiler, *self.flags, *arguments, *LIBRARIES], self.root)

    def link_test(self, test):
        self.link(["-o", self.program(test), *map(self.object, test.sources),
                   self.folder / "libengine.so", f"-Wl,-rpath,{self.folder}"])

    def compile_mutant(self, text, library):
        """False where it is no C."""
        done = subprocess.run([self.compiler, *COMPILE, "-O0", *self.flags, "-shared", "-x", "c",
                               "-o", library, "-"], cwd=self.root, input=text, text=True,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode == 0

    def assembler(self, text):
        """What an optimising compiler makes of it: two mutants of one code are one program."""
        done = subprocess.run([self.compiler, *COMPILE, "-g0", "-O2", "-S", "-x", "c", "-o", "-",
                               "-"], cwd=self.root, input=text, text=True, capture_output=True)
        return done.stdout if done.returncode == 0 else None

    def run(self, test, library, limit):
        """(passed, CPU seconds, output)"""
        environment = dict(os.environ, LD_PRELOAD=str(library),
                           ASAN_OPTIONS="verify_asan_link_order=0:detect_leaks=0:detect_odr_violation=0:"
                                        f"hard_rss_limit_mb={MEMORY_LIMIT >> 20}")
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen([self.program(test), *test.arguments], cwd=self.root,
                                       env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                       stderr=output, start_new_session=True)
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(process.pid, resource.RLIMIT_CPU, (limit, limit))
                resource.prlimit(process.pid, resource.RLIMIT_CORE, (0, 0))
                if self.flags != SANITIZE:
                    resource.prlimit(process.pid, resource.RLIMIT_AS, (MEMORY_LIMIT,) * 2)
            timer = threading.Timer(CLOCK_LIMIT, process.kill)
            timer.start()
            try:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                timer.cancel()
            output.seek(0)
            return (process.returncode == 0, usage.ru_utime + usage.ru_stime,
                    output.read().decode(errors="replace")[-4000:])

    def limit(self, test):
        return max(LEAST_CPU, int(CPU_FACTOR * test.cpu[self.name]) + 1)

    def check_baseline(self, targets, jobs):
        """Each test must pass with each right source in the place of a mutant."""
        libraries = []
        for target in targets:
            library = self.folder / ("right-" + target.replace("/", "-")[:-2] + ".so")
            if not self.compile_mutant((self.root / target).read_text(), library):
                raise Failure(f"{target} does not compile")
            libraries.append(library)

        def check(test):
            passed, seconds, output = self.run(test, ":".join(map(str, libraries)), CLOCK_LIMIT)
            if not passed:
                raise Failure(f"{test.name} fails on the sources as they are ({self.name}):\n"
                              f"{output}")
            test.cpu[self.name] = seconds

        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(check, self.tests))

    def killer(self, mutant):
        """The name of the first test that notices, or None."""
        own = re.sub(r"^src/(.*)/(\w+)\.c$", r"tests/unit/\1/test_\2", mutant.file)
        order = sorted(self.tests, key=lambda t: (not t.name.startswith(own), t.cpu[self.name]))
        with tempfile.TemporaryDirectory(dir=self.folder) as folder:
            library = pathlib.Path(folder) / "mutant.so"
            if not self.compile_mutant(mutant.text, library):
                return "the compiler"
            for test in order:
                passed, _, _ = self.run(test, library, self.limit(test))
                if not passed:
                    return test.name
        return None


# --- the whole ---

def changed_lines(root, name):
    """Numbers of lines that the working tree has and HEAD has not; None for a file that is new."""
    known = subprocess.run(["git", "ls-files", "--error-unmatch", name], cwd=root,
                           capture_output=True)
    if known.returncode:
        return None
    diff = subprocess.run(["git", "diff", "-U0", "HEAD", "--", name], cwd=root, text=True,
                          capture_output=True, check=True).stdout
    lines = set()
    for m in re.finditer(r"^@@ -\S+ \+(\d+)(?:,(\d+))? @@", diff, re.M):
        lines.update(range(int(m[1]), int(m[1]) + int(m[2] or 1)))
    return lines


def choose_mutants(root, files, only_changed):
    mutants = []
    for name in files:
        found = Source(name, (root / name).read_text(encoding="utf-8")).mutants()
        lines = changed_lines(root, name) if only_changed else None
        mutants += [m for m in found if lines is None or m.number in lines]
    return mutants


def copy_tree(root, to):
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, to / name)
        elif (root / name).exists():
            shutil.copy(root / name, to / name)


def find_survivors(build, mutants, jobs, verbose):
    killed, survivors, stillborn = 0, [], 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for at, (mutant, killer) in enumerate(zip(mutants, pool.map(build.killer, mutants)), 1):
            if verbose:
                print(f"{mutant}\n    {killer or 'SURVIVES'}", flush=True)
            if killer == "the compiler":
                stillborn += 1
            elif killer:
                killed += 1
            else:
                survivors.append(mutant)
            if at % 50 == 0 or at == len(mutants):
                print(f"{build.name}: {at} of {len(mutants)}, {len(survivors)} survive",
                      file=sys.stderr, flush=True)
    return killed, survivors, stillborn


def same_code(build, survivors):
    """Those of which an optimising compiler makes the very same program."""
    right = {name: build.assembler((build.root / name).read_text())
             for name in {m.file for m in survivors}}
    return [m for m in survivors if build.assembler(m.text) == right[m.file]]


def report(files, complete, killed, survivors, same, explained):
    keys = {m.key() for m in survivors}
    unexplained = [m for m in survivors if m.key() not in explained and m not in same]
    stale = [key for key in explained if complete and key[0] in files and key not in keys]
    for mutant in unexplained:
        print(f"survivor: {mutant}")
    for file, function, before, after in stale:
        print(f"explained.txt: no survivor any more: {file}: in {function}\n"
              f"    - {before}\n    + {after}")
    accounted = len(survivors) - len(unexplained)
    print(f"{killed + len(survivors)} mutants: {killed} killed, {accounted} explained "
          f"({len(same)} of them the same machine code), {len(unexplained)} survive")
    return 1 if unexplained or stale else 0


def mutate(arguments):
    root, jobs = arguments.root.resolve(), arguments.jobs
    files = arguments.file or [f for f in TARGETS if (root / f).exists()]
    explained = read_explained(arguments.explained.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = pathlib.Path(folder)
        copy_tree(root, copy)
        mutants = choose_mutants(copy, files, False)
        if arguments.changed:
            keys = {(m.file, m.number) for m in choose_mutants(root, files, True)}
            mutants = [m for m in mutants if (m.file, m.number) in keys]
        if arguments.list:
            print("\n".join(map(str, mutants)))
            return 0
        if not mutants:
            print("0 mutants: nothing to do")
            return 0
        build = Build("plain", copy, arguments.compiler, [], jobs)
        build.check_baseline(files, jobs)
        killed, survivors, stillborn = find_survivors(build, mutants, jobs, arguments.verbose)
        same = same_code(build, survivors)
        rest = [m for m in survivors if m not in same]
        if rest:
            sanitized = Build("sanitizers", copy, arguments.compiler, SANITIZE, jobs)
            sanitized.check_baseline(files, jobs)
            more, rest, _ = find_survivors(sanitized, rest, jobs, arguments.verbose)
            killed += more
        survivors = [m for m in survivors if m in same or m in rest]
        if stillborn:
            print(f"{stillborn} mutations do not compile and are not counted")
        return report(files, not arguments.changed, killed, survivors, same, explained)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", action="append", help="mutate this one (can be given again)")
    parser.add_argument("--changed", action="store_true", help="only lines that differ from HEAD")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list", action="store_true", help="print the mutants and end")
    parser.add_argument("--verbose", action="store_true", help="print what killed each mutant")
    parser.add_argument("--root", type=pathlib.Path, default=HERE.parents[1])
    parser.add_argument("--explained", type=pathlib.Path, default=HERE / "explained.txt")
    parser.add_argument("--compiler", default="gcc")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the temporary folder goes too
    began = time.monotonic()
    try:
        status = mutate(arguments)
    except (Failure, ValueError, OSError) as failure:
        print(failure, file=sys.stderr)
        return 2
    print(f"{time.monotonic() - began:.0f} s", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())

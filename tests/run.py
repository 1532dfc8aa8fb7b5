"""Runs the tests and counts them: `run.py check` for the part that takes under a minute, `run.py test`
for everything. The last line is `N passed, N failed, N skipped`; what is skipped is named with the
reason. Exit status 0 only where nothing failed and something passed."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree

ROOT = pathlib.Path(__file__).resolve().parents[1]
BUILD = pathlib.Path(os.environ.get("BUILD", "build"))
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider"]


class Totals:
    def __init__(self):
        self.passed = self.failed = 0
        self.skipped = []
        self.failures = []

    def fail(self, name, text=""):
        self.failed += 1
        self.failures.append(name)
        print(f"FAILED {name}\n{text}", flush=True)


def run(command, **options):
    return subprocess.run(command, cwd=ROOT, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, errors="replace",
                          **options)


def make(totals, *arguments):
    """Builds; a failed build is one failed test."""
    done = run(["make", "--no-print-directory", "-j2", *arguments])
    if done.returncode:
        totals.fail("make " + " ".join(arguments), done.stdout)
    return done.returncode == 0


def run_unit(totals, build, variant):
    """Every cmocka program, in its TAP form."""
    environment = dict(os.environ, CMOCKA_MESSAGE_OUTPUT="TAP", UBSAN_OPTIONS="print_stacktrace=1",
                       HARBOR_PILOT=str(ROOT / build / "harbor-pilot"))
    programs = sorted(p for p in (ROOT / build / "unit").rglob("test_*") if os.access(p, os.X_OK)
                      and p.is_file() and not p.suffix)
    for program in programs:
        name = f"{variant}/{program.relative_to(ROOT / build)}"
        done = run([program], env=environment)
        passed = len(re.findall(r"^ok \d+", done.stdout, re.M))
        failed = re.findall(r"^not ok \d+ - (.*)$", done.stdout, re.M)
        for test in re.findall(r"^not ok \d+ # SKIP (.*)$", done.stdout, re.M):
            totals.skipped.append(f"{name}: {test}: a program that it needs is not installed")
        totals.passed += passed
        for test in failed:
            totals.fail(f"{name}: {test}")
        if failed or done.returncode or not passed:
            print(done.stdout)
        if not failed and (done.returncode or not passed):
            totals.fail(f"{name}: exit status {done.returncode}, {passed} passed")


def run_replays(totals, build, variant):
    """The fuzzing corpora and past crashes, as ordinary tests."""
    for program in sorted((ROOT / build / "fuzz").glob("fuzz_*-replay")):
        target = program.name[len("fuzz_"):-len("-replay")]
        folders = [f"tests/fuzz/{kind}/{target}" for kind in ("corpus", "regression")
                   if (ROOT / "tests/fuzz" / kind / target).is_dir()]
        if target == "review":
            folders += ["tests/data/admission-reviews", "tests/data/captured-reviews"]
        done = run([program, *folders])
        if done.returncode:
            totals.fail(f"{variant}/fuzz/{target}", done.stdout[-4000:])
        else:
            totals.passed += 1


def run_pytest(totals, name, folder, environment=None):
    began = time.monotonic()
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        done = run([*PYTEST, f"--junit-xml={report.name}", folder],
                   env=dict(os.environ, **(environment or {})))
        try:
            suite = xml.etree.ElementTree.parse(report.name).getroot().find("testsuite")
        except xml.etree.ElementTree.ParseError:
            totals.fail(name, done.stdout)
            return
        failed = int(suite.get("failures")) + int(suite.get("errors"))
        skipped = suite.findall("testcase/skipped/..")
        totals.passed += int(suite.get("tests")) - failed - len(skipped)
        for case in skipped:
            totals.skipped.append(f"{name}/{case.get('name')}: {case.find('skipped').get('message')}")
        for case in suite.iter("testcase"):
            if case.find("failure") is not None or case.find("error") is not None:
                totals.fail(f"{name}/{case.get('classname')}.{case.get('name')}")
        if failed or done.returncode not in (0, 5):
            print(done.stdout)
        if not failed and done.returncode not in (0, 5):
            totals.fail(f"{name}: pytest ended with {done.returncode}")
        cases = sorted(suite.iter("testcase"), key=lambda case: -float(case.get("time")))[:3]
        slowest = ", ".join(f"{case.get('name')} {float(case.get('time')):.0f} s" for case in cases)
        print(f"   {name}: {len(suite)} in {time.monotonic() - began:.0f} s; {slowest}", flush=True)


def run_cases(totals):
    """The example policies' own tables."""
    for folder in ("policies", "policies/gate", "policies/estate"):
        done = run([BUILD / "harbor-pilot", "check", "--policies", folder])
        match = re.search(r"^(\d+) passed, (\d+) failed$", done.stdout, re.M)
        if done.returncode or not match or int(match[1]) == 0:
            totals.fail(f"{folder}: harbor-pilot check", done.stdout)
        if match:
            totals.passed += int(match[1])


def run_demo(totals):
    done = run(["make", "--no-print-directory", "run", "ONCE=1", "BIND_ADDRESS=127.0.0.1:0",
                "ADMIN_BIND_ADDRESS=127.0.0.1:0"])
    if done.returncode or "patched: 2 images" not in done.stdout:
        totals.fail("make run ONCE=1", done.stdout)
    else:
        totals.passed += 1


def run_lint(totals):
    done = run(["/usr/bin/python3", "tests/lint/lint.py"])
    print(done.stdout, end="")
    for line in done.stdout.splitlines():
        if line.startswith("ok "):
            totals.passed += 1
        elif line.startswith("not ok "):
            totals.fail("lint: " + line[len("not ok "):])
    if done.returncode > 1:
        totals.fail("lint", done.stdout)


def side_by_side(totals, *lines):
    """Runs lines of steps at once, one after the other within each: suites that mostly wait."""
    parts = [Totals() for _ in lines]

    def follow(line, part):
        for step in line:
            try:
                step(part)
            except Exception as error:  # a thread's own would be lost
                part.fail(f"the test runner: {error!r}")
    running = [threading.Thread(target=follow, args=pair) for pair in zip(lines, parts)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    for part in parts:
        totals.passed += part.passed
        totals.failed += part.failed
        totals.skipped += part.skipped
        totals.failures += part.failures


def suite(name, folder, environment=None):
    return lambda totals: run_pytest(totals, name, folder, environment)


def sanitizer(name, flags):
    """make's arguments and the environment of a sanitizer's build."""
    build = f"build-{name}"
    return ([f"BUILD={build}", "CC=clang", f"SANITIZE={flags}"],
            {"HARBOR_PILOT": str(ROOT / build / "harbor-pilot"), "HARBOR_PILOT_SLOW": "1"})


ASAN, TSAN = sanitizer("asan", "address,undefined"), sanitizer("tsan", "thread")


def sanitized_units(totals):
    """The engine under AddressSanitizer and UndefinedBehaviorSanitizer; and the servers are built."""
    if make(totals, *ASAN[0], "unit", "fuzz-replays", "all"):
        run_unit(totals, "build-asan", "asan")
        run_replays(totals, "build-asan", "asan")


def threads_checked(totals):
    make(totals, *TSAN[0], "all")


# name, what runs
CHECKS = [
    ("lint", run_lint),
    ("lint's own and the bench's", lambda t: (run_pytest(t, "lint", "tests/lint"),
                                              run_pytest(t, "bench", "tests/bench"))),
    ("the mutation script", lambda t: run_pytest(t, "mutation", "tests/mutation")),
    ("unit tests", lambda t: make(t, "unit") and run_unit(t, BUILD, "gcc")),
    ("cases of the example policies", run_cases),
    ("make run", run_demo),
    ("model", lambda t: run_pytest(t, "model", "tests/model")),
]

# End to end is waiting for the most part, and longest; beside it whatever does not mind being slow:
# the server and its Harbor too, as built, with AddressSanitizer, and with ThreadSanitizer.
LINES = [
    [("end to end", suite("e2e", "tests/e2e"))],
    [*CHECKS, *((name, suite(name, f"tests/{name}")) for name in ("server", "cli", "harbor"))],
    [("sanitized units", sanitized_units), ("sanitized server", suite("asan/server", "tests/server", ASAN[1])),
     ("sanitized server and Harbor", suite("asan/harbor", "tests/harbor", ASAN[1])),
     ("attacks on a sanitized server", suite("asan/hostile", "tests/hostile", ASAN[1]))],
    [("build for threads", threads_checked),
     ("threads of the server", suite("tsan/server", "tests/server/test_threads.py", TSAN[1])),
     ("threads of the server and Harbor", suite("tsan/harbor", "tests/harbor", TSAN[1])),
     ("attacks on a server whose threads are checked", suite("tsan/hostile", "tests/hostile", TSAN[1]))],
]

# Alone, since it has bars for the latency of the API server's own calls.
LAST = ("attacks", suite("hostile", "tests/hostile"))


def timed(name, step):
    """The step, which says what it is and how long it took."""
    def run_step(totals):
        began, before = time.monotonic(), totals.passed
        step(totals)
        print(f"== {name}: {totals.passed - before} passed in {time.monotonic() - began:.0f} s\n", end="", flush=True)
    return run_step


def once(skipped):
    """The same test, skipped for the same reason in builds with sanitizers too, counts once."""
    return sorted({re.sub(r"^(asan|tsan|gcc)/", "", text): text for text in reversed(skipped)}.values())


def show_skipped(skipped):
    """By name, with the reason; one that many share is said once, after them."""
    reasons = [text.partition(": ")[2] for text in skipped]
    for index, (text, reason) in enumerate(zip(skipped, reasons)):
        shared = reasons.count(reason)
        print(f"skipped {text if shared == 1 else text.partition(': ')[0]}")
        if shared > 1 and reason not in reasons[index + 1:]:
            print(f"skipped all {shared} of these: {reason}")


def main():
    everything = sys.argv[1:] == ["test"]
    if not everything and sys.argv[1:] != ["check"]:
        print("run.py: expected `check` or `test`", file=sys.stderr)
        return 2
    totals = Totals()
    if make(totals, "all"):
        if everything:
            side_by_side(totals, *([timed(*step) for step in line] for line in LINES))
            timed(*LAST)(totals)
        else:
            side_by_side(totals, [timed(*step) for step in CHECKS])
    totals.skipped = once(totals.skipped)
    show_skipped(totals.skipped)
    for name in totals.failures:
        print(f"failed {name}")
    print(f"{totals.passed} passed, {totals.failed} failed, {len(totals.skipped)} skipped")
    return 0 if totals.failed == 0 and totals.passed else 1


if __name__ == "__main__":
    sys.exit(main())

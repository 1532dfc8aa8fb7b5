"""This build beside an older one, in turns, so that whatever else the machine does disturbs both: what a review costs, how
often it sends, and the instructions of its admission."""
import http.client
import os
import pathlib
import re
import shutil
import signal
import ssl
import statistics
import subprocess
import time

from common import BINARY, REVIEW, ROOT, WORK, BenchError, new_row, run_load, say, start_pilot

SENDS = 200
KEYS = ("cpu_us", "user_us", "system_us", "p50_ms", "p99_ms", "reviews_per_second")


def binary():
    """The older program that BASELINE names, or None."""
    path = os.environ.get("BASELINE")
    if not path:
        return None
    found = (ROOT / path).resolve()
    if not os.access(found, os.X_OK):
        raise BenchError(f"BASELINE is {path}, expected a harbor-pilot of another commit, such as "
                         "../older/build/harbor-pilot")
    return found


def count_sends(server):
    """System calls that send, for each review on one kept connection; None where there is no strace, or it may not look."""
    if not shutil.which("strace"):
        return None
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=30,
                                             context=ssl.create_default_context(cafile=WORK / "certs/ca.crt"))

    def ask():
        connection.request("POST", server.path + "?timeout=2s", REVIEW.read_bytes(), {"Content-Type": "application/json"})
        connection.getresponse().read()
    ask()
    counts = WORK / "sends"
    tracer = subprocess.Popen(["strace", "-f", "-c", "-e", "trace=sendmsg,sendto", "-o", counts, "-p",
                               str(server.process.pid)], stderr=subprocess.PIPE, text=True)
    attached = any("attached" in line for line in iter(tracer.stderr.readline, ""))
    time.sleep(0.5)  # to the other threads, too
    if attached:
        for _ in range(SENDS):
            ask()
    connection.close()
    tracer.send_signal(signal.SIGINT)
    tracer.communicate()
    if not attached:
        return None
    calls = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?send\w+$", counts.read_text(), re.M)
    return sum(map(int, calls)) / SENDS


def count_instructions(engine, count):
    """Of admit(), by callgrind; None where there is no valgrind, or no engine was built beside the program."""
    if not shutil.which("valgrind") or not os.access(engine, os.X_OK):
        return None
    done = subprocess.run(["valgrind", "--tool=callgrind", "--toggle-collect=measured_calls*",
                           "--callgrind-out-file=/dev/null", engine, REVIEW, "count", "admit-enforce", str(count)],
                          capture_output=True, text=True, check=False)
    match = re.search(r"Collected : (\d+)", done.stderr)
    if done.returncode or not match:
        raise BenchError(f"callgrind failed on {engine}: {done.stderr}")
    return int(match[1]) / count


def measure(arguments, older):
    servers, rows = [], []
    try:
        for name, program in (("before", older), ("now", BINARY)):
            servers.append(start_pilot(name, "/mutate/enforce", binary=program))
            rows.append(new_row(name, servers[-1], REVIEW))
        for number in range(arguments.rounds):
            for row in rows:
                say(f"baseline, run {number + 1} of {arguments.rounds}: {row['name']}")
                run_load(row, arguments.seconds)
        result = {}
        for row, program in zip(rows, (older, BINARY)):
            runs = row["runs"]
            result[row["name"]] = {
                **{key: statistics.median(run[key] for run in runs) for key in KEYS}, "runs": runs,
                "wrong": sum(run["wrong"] for run in runs), "sends": count_sends(row["server"]),
                "instructions": count_instructions(pathlib.Path(program).parent / "bench/engine", arguments.count),
                "version": subprocess.run([program, "version"], capture_output=True, text=True,
                                          check=True).stdout.splitlines()[0]}
        return result
    finally:
        for server in servers:
            server.end()


def print_rows(result):
    if not result:
        return
    before, now = result["before"], result["now"]
    print(f"\nbefore: {before['version']}; now: {now['version']}")
    print(f"{'':44}{'before':>12}{'now':>12}{'×':>9}")
    for key, what in (("cpu_us", "CPU of a review, µs"), ("user_us", "of it user, µs"), ("system_us", "of it kernel, µs"),
                      ("p50_ms", "median, ms"), ("p99_ms", "p99, ms"), ("reviews_per_second", "reviews/s"),
                      ("sends", "sends of a review"), ("instructions", "instructions of admit()")):
        a, b = before[key], now[key]
        if a is None or b is None:
            print(f"{what:44}{'not measured':>24}")
        else:
            print(f"{what:44}{a:12,.{2 if a < 100 else 0}f}{b:12,.{2 if b < 100 else 0}f}{b / a if a else 0:9.2f}")

"""Measures harbor-pilot on loopback, side by side in one run with a server of one fixed answer,
which is what TLS and HTTP cost by themselves, and with a typical Go webhook. Then its engine alone,
beside jansson, in nanoseconds and in instructions. Then reviews that need facts from a Harbor, each
row with what is wanted of it. Every answer is checked; exit status 1 when one
was wrong, 2 when the benchmark could not run.

    bench.py [--seconds N] [--rounds N] [--count N] [--only NAME]

The programs are in the folder that BUILD names, or build; HARBOR_PILOT names another binary. BASELINE names
one of another commit, to be measured beside it (with bench/engine next to it also in instructions).
Figures go to stdout, and all of them, with every single run, to bench.json in the build folder."""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

import baseline_rows
import harbor_rows
import json_patch
from common import (BINARY, BUILD, CONNECTIONS, HERE, REVIEW, THREADS, WORK, BenchError, Server,
                    WrongAnswer, ask, free_port, new_row, run_load, say, start_pilot)

OWNER = ('"name":"grafana-7d9c8b5f6d"', '"name":"########-7d9c8b5f6d"')
GO_MINIMUM = (1, 24)


# --- servers ---

def start_fixed(answer):
    (WORK / "fixed-answer.json").write_bytes(answer)
    server = Server("fixed answer", "/mutate/enforce", [
        WORK / "fixed", WORK / "certs/tls.crt", WORK / "certs/tls.key", WORK / "fixed-answer.json",
        str(THREADS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    server.port = int(server.process.stdout.readline())
    return server


def go_is_there():
    """None, or why there is no Go webhook."""
    if not shutil.which("go"):
        return "there is no go"
    version = subprocess.run(["go", "env", "GOVERSION"], cwd=WORK, capture_output=True, text=True,
                             check=False).stdout
    match = re.match(r"go(\d+)\.(\d+)", version)
    if not match or (int(match[1]), int(match[2])) < GO_MINIMUM:
        return f"go is {version.strip() or 'of an unknown version'}, expected 1.24 or newer"
    return None


def build_go():
    """The Go webhook's program; raises where it cannot be built."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    program = cache / "harbor-pilot" / "go-webhook" / "go-webhook"
    program.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["nice", "go", "build", "-ldflags", "-s -w", "-o", program, "."],
                          cwd=HERE / "go-webhook",
                          env=dict(os.environ, CGO_ENABLED="0", GOWORK="off"), text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no output"])[-1]
        raise BenchError(f"go build failed: {last}")
    return program


def start_go(program):
    port = free_port()
    with open(WORK / "go-webhook.log", "wb") as log:
        server = Server("Go webhook", "/mutate", [program, "--port", str(port), "--cert-dir",
                                                  WORK / "certs"], stdout=log, stderr=log)
    for _ in range(500):
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            time.sleep(0.02)
    else:
        server.end()
        raise BenchError(f"the Go webhook did not start, see {WORK / 'go-webhook.log'}")
    server.port = port
    return server


def patch_member(answer):
    """The bytes of the member `patch`, which stay the same where other parts of answers differ."""
    return re.search(rb'"patch":"[^"]+"', answer)[0]


def start_rows(go_program, servers):
    review, other_workloads = REVIEW, WORK / "other-workloads.json"
    text = review.read_bytes()
    if text.count(OWNER[0].encode()) != 1:
        raise BenchError(f"{review} does not name its ReplicaSet once as {OWNER[0]}")
    other_workloads.write_bytes(text.replace(*(part.encode() for part in OWNER)))

    pilot = start_pilot("harbor-pilot", "/mutate/enforce")
    servers.append(pilot)
    answer = ask(pilot, text)
    servers.append(start_fixed(answer))
    audit = start_pilot("harbor-pilot, audit", "/mutate/audit")
    servers.append(audit)
    logging = start_pilot("harbor-pilot, every review logged", "/mutate/enforce")
    servers.append(logging)
    rows = [new_row("fixed answer", servers[1], review),
            new_row("harbor-pilot, enforce", pilot, review),
            new_row("harbor-pilot, audit", audit, review, patched=False),
            new_row("harbor-pilot, enforce, every review logged", logging, other_workloads,
                    contains=patch_member(answer))]
    if go_program:
        servers.append(start_go(go_program))
        # the order of its operations differs from call to call
        rows.append(new_row("Go webhook (controller-runtime)", servers[-1], review, typed=True,
                            contains=b'"patchType":"JSONPatch"'))
    return rows


# --- start-up ---

def measure_start(times=10):
    """Seconds from exec to ready, the median; and of `version`, which does nothing."""
    ready, version = [], []
    for _ in range(times):
        began = time.monotonic()
        server = start_pilot("harbor-pilot", "/mutate/enforce")
        ready.append(time.monotonic() - began)
        server.end()
        began = time.monotonic()
        subprocess.run([BINARY, "version"], stdout=subprocess.DEVNULL, check=True)
        version.append(time.monotonic() - began)
    return {"ready_ms": statistics.median(ready) * 1000,
            "version_ms": statistics.median(version) * 1000}


# --- the engine alone ---

def run_engine(count):
    """{case: {"ns": …, "instructions": …}}; instructions are None without valgrind."""
    cases = {}
    for program in ("jansson", "engine"):
        done = subprocess.run([WORK / program, REVIEW, "time"], capture_output=True, text=True,
                              check=False)
        if done.returncode:
            raise WrongAnswer(f"{program}: {done.stderr}")
        for line in done.stdout.splitlines():
            name, ns = line.split()
            cases[name] = {"program": program, "ns": float(ns), "instructions": None}
        for name, ms in re.findall(r"^(\S+): loaded in ([0-9.]+) ms$", done.stderr, re.M):
            cases[name]["load_ms"] = float(ms)
    if not shutil.which("valgrind"):
        say("skipped: instructions, there is no valgrind")
        return cases
    for name, case in cases.items():
        done = subprocess.run(
            ["valgrind", "--tool=callgrind", "--toggle-collect=measured_calls*",
             "--callgrind-out-file=/dev/null", WORK / case["program"], REVIEW, "count", name,
             str(count)], capture_output=True, text=True, check=False)
        match = re.search(r"Collected : (\d+)", done.stderr)
        if done.returncode or not match or int(match[1]) == 0:
            raise BenchError(f"callgrind failed on {name}: {done.stderr}")
        case["instructions"] = int(match[1]) / count
    return cases


# --- the end ---

def summarize(row):
    runs = row["runs"]
    return {"name": row["name"], "wrong": sum(run["wrong"] for run in runs),
            "answers": sum(run["answers"] for run in runs), "runs": runs,
            **{key: statistics.median(run[key] for run in runs) for key in runs[0]
               if key not in ("wrong", "answers")}}


def print_skipped(result):
    for name, reason in result["skipped"].items():
        print(f"skipped: {name}: {reason}")


def print_tables(result):
    rows, cases = result["servers"], result["engine"]
    fixed = rows[0]["cpu_us"]
    print(f"{CONNECTIONS} kept connections, TLS, AdmissionReviews of {REVIEW.stat().st_size:,} "
          f"bytes, medians of {len(rows[0]['runs'])} runs of {result['seconds']} s")
    print(f"{'':44}{'reviews/s':>10}{'CPU/review':>12}{'× fixed':>9}{'p99':>10}{'resident':>11}"
          f"{'wrong':>7}")
    for row in rows:
        print(f"{row['name']:44}{row['reviews_per_second']:10,.0f}{row['cpu_us']:9.1f} µs"
              f"{row['cpu_us'] / fixed:9.2f}{row['p99_ms']:7.2f} ms"
              f"{row['resident_bytes'] / 1e6:8.1f} MB{row['wrong']:7}")
    load, cores = result["machine"]["load_before"], result["machine"]["cores"]
    if load > cores / 2:
        print(f"the machine was busy with other work (load {load:.1f}): "
              "on an idle one rates are higher, p99 is lower")
    print_skipped(result)
    start = result["start"]
    print(f"\nfrom exec to ready {start['ready_ms']:.1f} ms, `harbor-pilot version` "
          f"{start['version_ms']:.1f} ms")
    print(f"\n{'the engine alone, one review':44}{'time':>13}{'instructions':>14}{'× jansson':>11}"
          f"{'policies load':>15}")
    for name, case in cases.items():
        instructions = "" if case["instructions"] is None else f"{case['instructions']:,.0f}"
        loading = f"{case['load_ms']:.1f} ms" if "load_ms" in case else ""
        print(f"{name:44}{case['ns'] / 1000:10.2f} µs{instructions:>14}"
              f"{case['ns'] / cases['jansson']['ns']:11.3f}{loading:>15}")
    baseline_rows.print_rows(result["baseline"])
    harbor_rows.print_rows(result["harbor"])


def measure_baseline(arguments):
    older = baseline_rows.binary()
    return baseline_rows.measure(arguments, older) if older else None


def measure(arguments, servers):
    skipped, program, load = {}, None, os.getloadavg()[0]
    reason = go_is_there()
    if not reason:
        say("building the Go webhook (minutes the first time)")
        try:
            program = build_go()
        except BenchError as error:
            reason = str(error)
    if reason:
        skipped["Go webhook"] = reason
    rows = start_rows(program, servers)
    for number in range(arguments.rounds):
        for row in rows:
            say(f"run {number + 1} of {arguments.rounds}: {row['name']}")
            run_load(row, arguments.seconds)
    for server in servers:
        server.end()
    servers.clear()
    say("start-up")
    start = measure_start()
    say("the engine")
    engine = run_engine(arguments.count)
    baseline = measure_baseline(arguments)
    harbor = harbor_rows.measure(arguments, skipped)
    return {"machine": {"system": platform.platform(), "cores": os.cpu_count(),
                        "load_before": load},
            "version": subprocess.run([BINARY, "version"], capture_output=True, text=True,
                                      check=True).stdout,
            "seconds": arguments.seconds, "connections": CONNECTIONS, "threads": THREADS,
            "skipped": skipped, "start": start, "engine": engine,
            "servers": [summarize(row) for row in rows], "baseline": baseline, "harbor": harbor}


def measure_only(arguments):
    skipped, harbor, baseline = {}, [], None
    if arguments.only == "baseline":
        baseline = measure_baseline(arguments)
        if not baseline:
            skipped["baseline"] = "BASELINE names no program"
    else:
        harbor = harbor_rows.measure(arguments, skipped)
    return {"skipped": skipped, "servers": [], "baseline": baseline, "harbor": harbor}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=5, help="of each run; default 5")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each server; default 3")
    parser.add_argument("--count", type=int, default=200, help="calls to count; default 200")
    parser.add_argument("--only", metavar="NAME", choices=["baseline", *harbor_rows.MEASURES],
                        help="only `baseline`, or of the rows with facts from a Harbor one of "
                        f"`{'`, `'.join(harbor_rows.MEASURES)}`")
    arguments = parser.parse_args()
    needed = [BINARY, *(WORK / name for name in ("fixed", "engine", "jansson", "harbor", "client"))]
    for program in needed:
        if not os.access(program, os.X_OK):
            say(f"bench: {program} is not there, expected it built: `make bench` does it")
            return 2
    if not shutil.which("wrk"):
        say("bench: wrk is not installed; `bash tests/deps.sh test` does it")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))  # what was started is ended then, too
    shutil.rmtree(WORK / "certs", ignore_errors=True)
    servers = []
    try:
        subprocess.run([BINARY, "certs", "init", "--directory", WORK / "certs", "--dns-name",
                        "localhost", "--ip-address", "127.0.0.1"], check=True,
                       stdout=subprocess.DEVNULL)
        result = measure_only(arguments) if arguments.only else measure(arguments, servers)
    except (BenchError, OSError, subprocess.CalledProcessError) as error:
        say(f"bench: {error}")
        return 2
    except (WrongAnswer, json_patch.PatchError) as error:
        say(f"bench: wrong answer: {error}")
        return 1
    finally:
        for server in servers:
            server.end()
    (BUILD / "bench.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if arguments.only:
        print_skipped(result)
        baseline_rows.print_rows(result["baseline"])
        harbor_rows.print_rows(result["harbor"])
    else:
        print_tables(result)
    beside = list((result["baseline"] or {}).values())
    return 1 if any(row["wrong"] for row in result["servers"] + beside + result["harbor"]) else 0


if __name__ == "__main__":
    sys.exit(main())

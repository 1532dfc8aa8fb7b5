"""What `plan` prints: the table, byte for byte and by its rules, the patch, and its exit
statuses."""

import fcntl
import json
import os
import pty
import re
import shutil
import struct
import subprocess
import termios
import time

import pytest

from clilib import HERE, OURS, PATIENCE, PLAIN, apply_patch, find, pod
from test_plan_input import CLONE_SET, ROLLOUT, dump, namespace

DIGEST = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
LONG = (
    "ghcr.io/an-organisation-with-a-name/and-a-repository/of-several-parts:v1.2.3-with-a-long-tag"
)


def workload(kind, name, namespace_, *images_):
    version = {"CronJob": "batch/v1", "Job": "batch/v1"}.get(kind, "apps/v1")
    template = {
        "spec": {"containers": [{"name": f"c{n}", "image": i} for n, i in enumerate(images_)]}
    }
    spec = (
        {"jobTemplate": {"spec": {"template": template}}}
        if kind == "CronJob"
        else {"template": template}
    )
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace_},
        "spec": spec,
    }


MANIFESTS = "---\n" + dump(
    workload(
        "Deployment",
        "grafana",
        "monitoring",
        "grafana/grafana:11.1.0",
        "quay.io/kiwigrid/k8s-sidecar:1.27.4",
        "busybox:1.36",
        "ghcr.io/org/tool:1",
        "grafana/agent:v1-rc.2",
    ),
    namespace("loki", "audit"),
    workload("StatefulSet", "loki", "loki", "grafana/loki:3.3.0", LONG, "nginx@" + DIGEST),
    workload("CronJob", "backup", "apps", "restic/restic:0.17"),
    workload("StatefulSet", "postgres", "apps", "postgres:16"),
    workload("DaemonSet", "agent", "kube-system", "quay.io/cilium/cilium:v1.16"),
    pod("nginx", namespace="nobody"),
    pod("nginx", namespace="vault"),
    pod(
        "registry.corp.example:5000/a/b",
        "harbor.example.com:8443/hub/library/nginx:1",
        "auto",
        "Nginx",
        "localhost/x",
        name="mixed",
        namespace="batch",
    ),
    workload(
        "Deployment",
        "a-name-of-a-workload-that-goes-on-and-on-and-on",
        "team-a-namespace-with-a-long-name-too",
        "nginx:1.27",
    ),
)
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def table(program, columns, text=MANIFESTS, *args, **env):
    return program(
        "plan",
        "--policies",
        OURS,
        *args,
        stdin=text,
        env={**({"COLUMNS": str(columns)} if columns else {}), **env},
    ).out


# --- the table ---


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_golden_tables(program, golden, columns):
    golden(f"plan-{columns}.txt", table(program, columns))


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_lines_are_as_wide_as_they_may_be(program, columns):
    """No wider where it can be helped; broken before the arrow only where needed; nothing at the
    end of a line."""
    lines = table(program, columns).splitlines()
    assert not [line for line in lines if line != line.rstrip()]
    # where the arrows of an object stand: behind its longest image, of 60 characters at most
    column = {}
    for number, line in enumerate(lines):
        if not line.startswith(" "):
            title = number
        elif not line.lstrip().startswith("→"):
            column[title] = max(column.get(title, 0), min(len(line.split()[0]), 60))
    for number, line in enumerate(lines):
        if not line.startswith(" "):
            title = number
        elif line.lstrip().startswith("→"):
            width = (
                2
                + max(column[title], len(lines[number - 1].split()[0]))
                + len("  →  ")
                + len(line.split()[1])
            )
            assert width > columns, f"this need not be broken: {line}"
        elif "→" in line:
            assert len(line) <= columns, f"this had to be broken: {line}"


def test_images_of_an_object_are_aligned(program):
    lines = table(program, 200).splitlines()
    first = lines.index(next(line for line in lines if "StatefulSet/loki" in line))
    assert (
        len(
            {
                re.search("→|=  ", line).start()
                for line in lines[first + 1 : first + 3]
                if "→" in line or "=  " in line
            }
        )
        <= 2
    )
    first = lines.index(next(line for line in lines if "Deployment/grafana" in line))
    assert len({re.search("→|=  ", line).start() for line in lines[first + 1 : first + 6]}) == 1


def test_the_table_says_what_json_says(program):
    plan = program.plan(MANIFESTS)
    text = " ".join(table(program, 100).split())
    for image in plan["images"]:
        if image["rewrite"]["reason"] == "rewritten":
            assert f"{image['image']} → {image['result']}" in text
        else:
            assert f"{image['image']} = {image['rewrite']['reason']}" in text
        assert (
            f"{image['namespace']} {image['kind']}/{image['name']}" in text
            and image["document"] in text
        )
    summary = plan["summary"]
    assert (
        f"{summary['images']} images: {summary['rewrite']} rewritten, {summary['keep']} kept"
        in text
    )


def test_the_summary_by_namespace_and_policy(program):
    plan = program.plan(MANIFESTS)
    wanted = {}
    for image in plan["images"]:
        row = wanted.setdefault((image["namespace"], image.get("policy", "-")), [0, 0, 0])
        row[0] += 1
        row[1 if image["rewrite"]["outcome"] == "rewrite" else 2] += 1
    rows = re.findall(r"^(\S+) +(\S+) +(\d+) +(\d+) +(\d+)$", table(program, 200), re.M)
    assert {(a, b): [int(n) for n in counts] for a, b, *counts in rows} == wanted
    assert rows == sorted(rows)


def test_the_default_width_is_a_hundred(program):
    assert table(program, None) == table(program, 100) == table(program, None, COLUMNS="nonsense")


def test_control_characters_do_not_reach_the_terminal(program):
    evil = pod("nginx", "nginx\x1b[31m:1", name="a\x1b[2Jb\nfake Pod/x", namespace="lo\x1bki")
    evil["kind"] = "Pod"
    out = table(program, 100, json.dumps(evil))
    assert "\x1b" not in out and "\nfake" not in out and "a?[2Jb?fake" in out


# --- colour ---


def on_a_terminal(program, **env):
    """What it prints where standard output is a terminal 90 columns wide."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 90, 0, 0))
    with subprocess.Popen(
        [program.binary, "plan", "--policies", OURS],
        cwd=HERE,
        env={**PLAIN, "TERM": "xterm", **env},
        stdin=subprocess.PIPE,
        stdout=theirs,
        stderr=subprocess.PIPE,
    ) as process:
        os.close(theirs)
        process.stdin.write(MANIFESTS.encode())
        process.stdin.close()
        out = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            out += piece
        os.close(ours)
        assert process.wait(PATIENCE) == 0
    return out.decode().replace("\r\n", "\n")


def test_colour_on_a_terminal_only(program):
    coloured = on_a_terminal(program)
    assert "\x1b[32m→\x1b[0m" in coloured and "\x1b[33mexcluded\x1b[0m" in coloured
    assert "\x1b[1mmonitoring Deployment/grafana\x1b[0m" in coloured
    assert ANSI.sub("", coloured) == table(program, 90), "and the terminal's width is taken"
    assert "\x1b" not in table(program, 90)


def test_no_color(program):
    """no-color.org: when present and not an empty string."""
    assert "\x1b" not in on_a_terminal(program, NO_COLOR="1")
    assert "\x1b" in on_a_terminal(program, NO_COLOR="")
    assert on_a_terminal(program, NO_COLOR="yes", COLUMNS="80") == table(program, 80)


def test_with_script(program, tmp_path):
    if not shutil.which("script"):
        pytest.skip("script is not installed")
    (tmp_path / "apps.yaml").write_text(MANIFESTS)
    for extra, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        done = subprocess.run(
            [
                "script",
                "-qec",
                f"{program.binary} plan --policies {OURS} -f {tmp_path}/apps.yaml",
                "/dev/null",
            ],
            cwd=HERE,
            env={**PLAIN, "TERM": "xterm", **extra},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=PATIENCE,
        )
        assert done.returncode == 0 and "Deployment/grafana" in done.stdout
        assert ("\x1b[32m" in done.stdout) == coloured


def test_a_progress_line_when_it_takes_long(program):
    """On a terminal only, on standard error only, after a second; taken away at the end."""
    ours, theirs = pty.openpty()
    command = [program.binary, "plan", "--policies", OURS, "-o", "json"]
    with subprocess.Popen(
        command,
        cwd=HERE,
        env={**PLAIN, "TERM": "xterm"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        time.sleep(1.2)
        out, _ = process.communicate("\n".join([json.dumps(pod("nginx"))] * 1000).encode())
        err = os.read(ours, 65536).decode()
    os.close(ours)
    assert process.returncode == 0 and len(json.loads(out)["images"]) == 1000
    assert re.search(r"\rplan: \d+ objects, \d+ images", err) and err.endswith("\r\x1b[K"), err


# --- JSON and patch ---


def test_json_is_one_line_on_stdout_and_nothing_else(program):
    result = program("plan", "--policies", OURS, "-o", "json", stdin=MANIFESTS)
    assert result.out.count("\n") == 1 and result.out.endswith("}\n") and result.err == ""
    assert program("plan", "--policies", OURS, "-o", "json", stdin=MANIFESTS).out == result.out


def test_the_policies_digest_follows_their_content(program, tmp_path):
    text = (
        (HERE / OURS / "00-harbor.yaml").read_text()
        + "---\n"
        + (HERE / OURS / "10-waves.yaml").read_text()
    )
    digests = []
    for change in ("", "", "# a comment\n"):
        (tmp_path / "p.yaml").write_text(text + change)
        digests.append(program.plan("", policies=tmp_path / "p.yaml")["policies"])
    assert digests[0] == digests[1] != digests[2]


def test_patches_apply(program):
    """Each to a Pod made of its object's template; afterwards nothing is left to move, and the
    originals are noted."""
    objects = [
        workload("Deployment", "a", "loki", "nginx", "gcr.io/x/y:1"),
        workload("CronJob", "b", "gitea", "redis:7"),
        pod("quay.io/a/b:1", name="c", namespace="monitoring"),
        workload("StatefulSet", "d", "matrix", "nginx"),
        pod("gcr.io/x/y:1", name="e"),
        ROLLOUT,
        {**CLONE_SET, "metadata": {"name": "f", "namespace": "team-red"}},
    ]
    objects[0]["spec"]["template"]["spec"]["volumes"] = [
        {"name": "v", "image": {"reference": "ghcr.io/data/set:1"}}
    ]
    objects[2]["metadata"]["annotations"] = {"a/b": "c"}
    options = [
        "--template",
        "Rollout.argoproj.io=/spec/template",
        "--template",
        "CloneSet.apps.kruise.io=/spec/template",
    ]
    lines = program(
        "plan", "--policies", OURS, "-o", "patch", *options, stdin=dump(*objects)
    ).out.splitlines()
    plan = program.plan(dump(*objects), *options)
    patches = [json.loads(line) for line in lines]
    assert [p["name"] for p in patches] == [
        "a",
        "b",
        "c",
        "web",
        "f",
    ], "not the one in audit, nor what is kept"
    for patch in patches:
        assert patch.keys() == {"document", "kind", "namespace", "name", "patch"}
        obj = next(
            o
            for o in objects
            if (o["kind"], o["metadata"]["name"]) == (patch["kind"], patch["name"])
        )
        pointer = {"Pod": "", "CronJob": "/spec/jobTemplate/spec/template"}.get(
            obj["kind"], "/spec/template"
        )
        before = {"apiVersion": "v1", "kind": "Pod", "metadata": {}, **find(obj, pointer)}
        after = apply_patch(before, patch["patch"])
        decided = [i for i in plan["images"] if i["document"] == patch["document"]]
        assert decided
        for image in decided:
            assert find(after, image["field"].removeprefix(pointer)) == image["result"]
        originals = json.loads(after["metadata"]["annotations"]["harbor-pilot.io/original-images"])
        assert originals == {
            i.get("container", "volume/" + i.get("volume", "")): i["image"]
            for i in decided
            if i["rewrite"]["reason"] == "rewritten"
        }
        if patch["namespace"] == "gitea":
            assert after["spec"]["imagePullSecrets"] == [{"name": "harbor-pull"}]
            assert after["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"
        after["metadata"].update(name="again", namespace=patch["namespace"])
        assert (
            program("plan", "--policies", OURS, "-o", "patch", stdin=json.dumps(after)).out == ""
        ), "a second pass"


# --- exit statuses ---


def test_exit_status_of_expect_all_moved(program):
    command = ["plan", "--policies", OURS, "--expect-all-moved"]
    moved = dump(pod("nginx", "harbor.example.com:8443/hub/library/nginx:1"))
    kept = dump(pod("nginx", "gcr.io/x/y:1"))
    broken = "---\na: [\n"
    for text, status in (
        (moved, 0),
        ("", 3),
        (dump(namespace("loki", "enforce")), 3),
        (kept, 1),
        (dump(pod("nginx", namespace="nobody")), 1),
        (kept + broken, 2),
        (moved + broken, 2),
    ):
        for output in ("table", "json", "patch"):
            program(*command, "-o", output, stdin=text, status=status)
    program(*command[:-1], stdin=kept, status=0)


def test_output_that_cannot_be_written(program):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [program.binary, "plan", "--policies", OURS, "-o", "json"],
            cwd=HERE,
            env=PLAIN,
            stdout=full,
            stderr=subprocess.PIPE,
            input=MANIFESTS.encode(),
            timeout=PATIENCE,
        )
    assert done.returncode == 2 and b"standard output" in done.stderr

"""The man pages say what the program says, and the other way round."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from clilib import GATE_REASONS, PATIENCE, PLAIN, REASONS, ROOT
from fake_api import FakeApi

MAN = ROOT / "docs" / "man"
PAGES = {
    "serve": "harbor-pilot-serve.1",
    "plan": "harbor-pilot-plan.1",
    "explain": "harbor-pilot-explain.1",
    "check": "harbor-pilot-check.1",
    "rescue": "harbor-pilot-rescue.1",
    "certs init": "harbor-pilot-certs.1",
}
NOT_BUILT_YET = "Not built yet"


def source(page):
    return (MAN / f"{page}.scd").read_text()


def sections(page):
    """{heading: text}"""
    parts = re.split(r"^# ([A-Z][A-Z ]+)\n\n", source(page), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def plain(text):
    return re.sub(r"\\(.)", r"\1", re.sub(r"(?<!\\)[*_]", "", text))


def man_options(page):
    """{"--output": ("-o, --output text|json", what is said)} of the definitions in OPTIONS."""
    found = {}
    for term, text in re.findall(r"^(\*-.+)\n((?:\t.*\n)+)", sections(page)["OPTIONS"], re.M):
        term = plain(term)
        found[re.search(r"--[\w-]+", term)[0]] = (term, " ".join(text.split()))
    return found


def help_options(text):
    """The same of --help."""
    listed = re.search(r"^Options:\n((?:  .*\n)+)", text, re.M)[1]
    found = {}
    for left, first, rest in re.findall(
        r"^  ((?:-\w, |    )--\S+(?: \S+)?)(?: +(\S.*))?\n((?: {20,}\S.*\n)*)", listed, re.M
    ):
        found[re.search(r"--[\w-]+", left)[0]] = (
            left.strip(),
            (first + " " + rest.strip()).strip(),
        )
    return found


def help_of(program, command):
    return program(*command.split(), "--help").out


def example_of(text):
    return re.search(r"^Example:\n((?:  .*\n)+)", text, re.M)[1]


def interface(program):
    """The program's own tables."""
    return program("help", "--dump-interface").json()


def commands_of(program):
    return {command["name"].split()[0] for command in interface(program)["commands"]}


# --- options ---


def test_the_interface_is_what_help_shows(program):
    """Every option of every command, with its value and default; the pages are compared with --help."""
    for command in interface(program)["commands"]:
        said = help_of(program, command["name"])
        shown = help_options(said) if command["options"] else {}
        assert [name[2:] for name in shown if name != "--help"] == [
            option["name"] for option in command["options"]
        ]
        for option in command["options"]:
            form, text = shown["--" + option["name"]]
            short = f"-{option['short']}, " if "short" in option else ""
            value = " " + option["value"] if "value" in option else ""
            assert form == f"{short}--{option['name']}{value}"
            default = f" Default: {option['default']}." if "default" in option else ""
            assert text == option["help"] + default
            assert ("environment" in option) == (command["name"] == "serve")


def test_reasons_are_those_of_the_program(program):
    said = interface(program)
    assert said["reasons"] == REASONS and said["gateReasons"] == list(GATE_REASONS)
    assert set(said["gateOutcomes"]) == {"allow", "warn", "deny"}
    assert said["exitStatuses"] == [0, 1, 2, 3]


def test_operators_md_lists_the_operators_of_the_program(program):
    text = (ROOT / "docs" / "operators.md").read_text()
    section = re.search(r"^### Above a built-in controller.*?(?=^## )", text, re.M | re.S)[0]
    listed = re.findall(r"^\| ([^|`]+?) \| `", section, re.M)
    assert listed[1:] == list(dict.fromkeys(interface(program)["comparedBy"]))


def rows_of_policies_md(heading, above=""):
    """{field: row} of the tables in a section, each field with the names of those above it."""
    text = (ROOT / "docs" / "policies.md").read_text()
    section = re.search(rf"^## {heading}.*?(?=^## )", text, re.M | re.S)[0]
    rows = re.findall(r"^(\| `([\w.]+)` \|.*)$", section.split("\n### ")[0], re.M)
    return {above + name: row for row, name in rows}


@pytest.mark.parametrize("kind", ["harbor", "policy"])
def test_fields_of_policies_md_are_those_of_the_parser(program, kind):
    described = rows_of_policies_md(f"{kind.title()}: ")
    if kind == "policy":
        described |= rows_of_policies_md("`findings`: ", "findings.")
    fields = {field["name"]: field["required"] for field in interface(program)[f"{kind}Fields"]}
    maps = {name for name in fields if any(other.startswith(name + ".") for other in fields)}
    assert fields.keys() - maps <= described.keys() <= fields.keys()
    for name, required in fields.items():
        assert not required or "Required" in described[name], name


@pytest.mark.parametrize("command", PAGES)
def test_options_of_help_and_page_are_the_same(program, command):
    of_help, of_page = help_options(help_of(program, command)), man_options(PAGES[command])
    assert len(of_help) > 4, "the options of --help are not found"
    assert of_help.keys() == of_page.keys()
    for name, (form, _) in of_help.items():
        assert of_page[name][0] == form


@pytest.mark.parametrize("command", PAGES)
def test_what_is_not_built_is_said_in_both(program, command):
    of_help, of_page = help_options(help_of(program, command)), man_options(PAGES[command])
    for name, (_, text) in of_help.items():
        assert of_page[name][1].startswith(NOT_BUILT_YET) == text.startswith(NOT_BUILT_YET), name


@pytest.mark.parametrize("command", PAGES)
def test_options_that_are_needed_say_so(program, command):
    needed = set()
    while True:  # each run names the first that is missing
        given = [word for name in sorted(needed) for word in (name, "x")]
        result = subprocess.run(
            [program.binary, *command.split(), *given],
            env=PLAIN,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        missing = re.search(r"(--[\w-]+) is missing", result.stderr)
        if not missing or missing[1] in needed:
            break
        needed.add(missing[1])
    marked = {
        name for name, (_, text) in man_options(PAGES[command]).items() if "Required." in text
    }
    assert marked == needed


@pytest.mark.parametrize("command", PAGES)
def test_defaults_are_the_same(program, command):
    of_help, of_page = help_options(help_of(program, command)), man_options(PAGES[command])
    for name, (_, text) in of_help.items():
        default = re.search(r"\bDefault: ([\w\[\]:]+)", text)
        assert ("default" in text.lower()) == bool(default), "each default is said in one way"
        if default and default[1] not in ("the", "none"):
            assert re.search(
                rf"Default: (\*?){re.escape(default[1])}", of_page[name][1].replace("\\", "")
            ), (name, text)


def test_commands_of_help_and_page_are_the_same(program):
    of_help = re.findall(r"^  ([a-z]+) ", program("--help").out, re.M)
    of_page = re.findall(r"^\*(\w+)(?: init)?\*$", sections("harbor-pilot.1")["COMMANDS"], re.M)
    assert sorted(of_help) == sorted(of_page) == sorted(commands_of(program))


# --- the pages ---


def test_there_is_a_page_for_each():
    assert {path.stem for path in MAN.glob("*.scd")} == {*PAGES.values(), "harbor-pilot.1"}


@pytest.mark.parametrize("page", [*PAGES.values(), "harbor-pilot.1"])
def test_pages_compile_and_render(page, tmp_path):
    for tool in ("scdoc", "man"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    compiled = subprocess.run(["scdoc"], input=source(page).encode(), capture_output=True)
    assert (compiled.returncode, compiled.stderr) == (0, b"")
    (tmp_path / page).write_bytes(compiled.stdout)
    shown = subprocess.run(
        ["man", "--warnings", "-P", "cat", "-l", tmp_path / page],
        capture_output=True,
        text=True,
        env={**os.environ, "MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""},
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    text = re.sub(".\b", "", shown.stdout)
    for heading in sections(page):
        assert re.search(rf"^{re.escape(heading)}$", text, re.M), heading
    assert text.count("\n") > 50


@pytest.mark.parametrize("page", [*PAGES.values(), "harbor-pilot.1"])
def test_pages_have_their_sections(page):
    found = sections(page)
    assert {
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "EXIT STATUS",
        "EXAMPLES",
        "SEE ALSO",
    } <= found.keys()
    assert found["NAME"].strip().startswith(page.removesuffix(".1") + " - ")
    for other in re.findall(r"\*(harbor-pilot[\w-]*)\*\(1\)", source(page)):
        assert (MAN / f"{other}.1.scd").is_file(), other


def bold(text):
    return set(re.findall(r"\*([^*\n]+)\*", re.sub(r"\\.", "?", text)))


def definitions(text):
    """{name: what is said of it} of a list of bold terms, several of which may share a text."""
    found = {}
    for terms, said in re.findall(r"^(\*.+)\n((?:\t.*\n)+)", text, re.M):
        for name in bold(terms):
            found[name] = " ".join(said.split())
    return found


def test_metrics_are_those_of_the_program(program):
    said = interface(program)
    described = definitions(sections("harbor-pilot-serve.1")["METRICS"])
    assert described.keys() == {metric["name"] for metric in said["metrics"]}
    for metric in said["metrics"]:
        text = described[metric["name"]]
        labels = bold(text.partition("Label")[2])
        assert set(metric["labels"]) <= labels and bool(metric["labels"]) == bool(labels), metric
        assert metric["name"].startswith("process_") or metric["type"].title() in text, metric
    assert {*said["questionKinds"], *said["questionAnswers"]} <= bold(
        described["harborpilot_harbor_questions_total"]
    )
    assert set(said["connectionEnds"]) <= bold(described["harborpilot_connections_closed_total"])


def test_log_events_are_those_of_the_program(program):
    """That lines hold no other members is looked at wherever tests read the log of a server."""
    text = sections("harbor-pilot-serve.1")["LOG"].partition("\nThe events:\n")[2]
    of_rescue = sections("harbor-pilot-rescue.1")["LOG"].partition("\nThe events of its own:\n")[2]
    described = definitions(text) | definitions(of_rescue)
    events = {event["name"]: event["members"] for event in interface(program)["events"]}
    assert described.keys() == events.keys()
    for name, members in events.items():
        assert set(members) <= bold(described[name]), name


def test_reasons_of_the_gate_are_explained(program):
    said = interface(program)
    assert {*said["gateReasons"], *said["gateOutcomes"]} <= bold(source("harbor-pilot-explain.1"))


def keys_of(value):
    """The members of all objects below, but not the names that files and policies give."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    inner = [v for k, v in value.items() if k not in ("reasons", "counts")]
    return set(value).union(*map(keys_of, inner))


@pytest.mark.parametrize("command", ["plan", "explain", "check"])
def test_members_of_the_output_are_explained(program, command, tmp_path):
    gate, facts = ROOT / "policies" / "gate", ["--facts", ROOT / "policies" / "gate" / "facts.json"]
    if command == "plan":
        (tmp_path / "a.yaml").write_text(
            "apiVersion: apps/v1\nkind: Deployment\n"
            "metadata: {name: grafana, namespace: monitoring}\n"
            "spec: {template: {spec: {containers: [{name: g, image: grafana/grafana:11.1.0}]}}}\n"
            "---\n{apiVersion: v1, kind: Pod, spec: 1}\n"
        )
        args = ["--policies", gate, *facts, "-f", tmp_path / "a.yaml"]
    elif command == "explain":
        args = ["grafana/grafana:11.1.0", "-n", "monitoring", "--policies", gate, *facts]
    else:
        (tmp_path / "a.cases").write_text("monitoring nginx:1 keep:protected\n")
        args = ["--policies", gate, "--cases", tmp_path / "a.cases"]
    output = program(command, *args, "-o", "json", status=None).json()
    pages = [f"harbor-pilot-{command}.1", "harbor-pilot-plan.1"]  # the decision is in that of plan
    explained = set().union(*(bold(sections_text) for sections_text in map(source, pages)))
    in_code = {name for page in pages for name in re.findall(r'"(\w+)"', source(page))}
    assert len(keys_of(output)) > 5 and keys_of(output) <= explained | in_code


def test_every_reason_is_explained():
    text = sections("harbor-pilot-explain.1")["REASONS"]
    explained = dict(re.findall(r"^\*([\w-]+)\*\n((?:\t.*\n)+)", text, re.M))
    assert list(explained) == REASONS, "in the order in which they win"
    for reason, said in explained.items():
        assert "_Change:_" in said or "nothing to change" in " ".join(said.split()), reason


def test_exit_statuses_are_explained():
    for page in [*PAGES.values(), "harbor-pilot.1"]:
        assert {"0", "2"} <= set(
            re.findall(r"^\*(\d)\*$", sections(page)["EXIT STATUS"], re.M)
        ), page


# --- examples ---


@pytest.fixture
def workshop(program, tmp_path):
    """A directory in which the examples can be typed: the example policies, certificates, and
    stand-ins for tools that would ask a cluster."""
    (tmp_path / "policies").symlink_to(ROOT / "policies")
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "api").mkdir()
    api = FakeApi(tmp_path / "api")
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "harbor-pilot").symlink_to(program.binary)
    manifest = (
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: loki}\n"
        "spec: {containers: [{name: web, image: nginx}]}\n"
    )
    (tmp_path / "apps.yaml").write_text(manifest)
    (tmp_path / "fleet.yaml").write_text(
        "apiVersion: example.com/v1\nkind: Fleet\nmetadata: {name: web}\nspec:\n"
        "  leader: {spec: {containers: [{name: web, image: nginx}]}}\n"
        "  workers: {spec: {containers: [{name: web, image: nginx}]}}\n"
    )
    for tool, prints in (("kubectl", None), ("kustomize", manifest), ("helm", manifest)):
        script = f"#!/bin/sh\ncat <<'E'\n{prints}E\n"
        if tool == "kubectl":
            script = (
                "#!/bin/sh\ncase \"$*\" in\n"
                f"proxy*) exec {api.tools}/kubectl \"$@\" ;;\n"
                "*'-o name'*) echo namespace/loki ;;\n"
                "*create*|*label*|*apply*) ;;\n"
                '*) echo \'{"apiVersion":"v1","kind":"List","items":[]}\' ;;\nesac\n'
            )
        (tools / tool).write_text(script)
        (tools / tool).chmod(0o755)
    yield tmp_path
    api.close()


def type_in(workshop, text):
    environment = {**PLAIN, "PATH": f"{workshop / 'bin'}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", text],
        cwd=workshop,
        env=environment,
        text=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=PATIENCE,
    )


def serves(workshop, text):
    """Types an example of serve, with free ports and without the last word being `serve` for
    ever."""
    environment = {**PLAIN, "PATH": f"{workshop / 'bin'}:{os.environ['PATH']}"}
    type_in(workshop, "harbor-pilot certs init --directory . --dns-name localhost --force")
    for option in ("--bind-address", "--admin-bind-address"):
        if f" {option} " not in text:
            text = text.rstrip() + f" {option} 127.0.0.1:0"
    with subprocess.Popen(
        ["bash", "-c", "exec " + text.strip()],
        cwd=workshop,
        env=environment,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as process:
        for line in process.stderr:
            if '"event":"ready"' in line:
                process.send_signal(signal.SIGTERM)
        return process.wait(PATIENCE)


@pytest.mark.parametrize("command", PAGES)
def test_the_example_of_help_works(program, workshop, command):
    text = example_of(help_of(program, command))
    assert f"harbor-pilot {command}" in text
    if command == "serve":
        assert serves(workshop, text) == 0
        return
    done = type_in(workshop, text)
    assert done.returncode == 0, (text, done.stdout, done.stderr)
    assert done.stdout


@pytest.mark.parametrize("page", [*PAGES.values(), "harbor-pilot.1"])
def test_the_examples_of_pages_work(page, workshop):
    blocks = re.findall(r"^```\n(.*?)^```", sections(page)["EXAMPLES"], re.M | re.S)
    assert len(blocks) >= 2
    type_in(workshop, "harbor-pilot certs init --directory given --dns-name a.b")
    for block in blocks:
        block = block.replace("\\\\", "\\")
        if "curl" in block or ("| jq" in block or "|\n    jq" in block) and not shutil.which("jq"):
            continue
        if "harbor-pilot serve" in block:  # what stands before it is done first
            before, _, rest = block.partition("harbor-pilot serve")
            assert type_in(workshop, before).returncode == 0, before
            assert serves(workshop, "harbor-pilot serve" + rest) == 0, block
            continue
        done = type_in(workshop, block)
        assert done.returncode == 0, (block, done.stdout, done.stderr)


def test_version_has_help_too(program):
    assert "harbor-pilot version" in program("version", "--help").out

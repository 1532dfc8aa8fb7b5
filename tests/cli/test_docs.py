"""What the documentation names is there: tests, files, settings."""

import re

import pytest
import yaml

from clilib import ROOT

THREATS = (ROOT / "docs" / "threat-model.md").read_text()


def test_the_threat_model_has_every_threat_and_mitigation():
    for letter, count in (("T", 18), ("M", 10)):
        named = set(re.findall(rf"\*\*({letter}\d+)\*\*", THREATS))
        assert named == {f"{letter}{i}" for i in range(1, count + 1)}


def test_readme_quotes_the_threat_model():
    (quoted,) = re.findall(r'Security risk:.*?\* "(.*?)"', (ROOT / "README.md").read_text(), re.S)
    flat = " ".join(THREATS.split())
    for part in quoted.split("…"):
        sentence = " ".join(part.split()).rstrip(".")
        assert sentence.lower() in flat.lower(), sentence


@pytest.mark.parametrize("test", sorted(set(re.findall(r"`(tests/[^`]+)`", THREATS))))
def test_what_the_threat_model_names_exists(test):
    file, _, name = test.partition("::")
    text = (ROOT / file).read_text()
    assert name or file in THREATS.split("## What one process holds")[1], "a row names one test"
    assert not name or re.search(rf"^(def|static void) {re.escape(name)}\(", text, re.M), test


def test_the_deployment_is_hardened():
    pod = yaml.safe_load((ROOT / "deploy" / "20-deployment.yaml").read_text())["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert all(mount["readOnly"] for mount in container["volumeMounts"])


def test_the_architecture_is_that_of_the_tree():
    text = (ROOT / "docs" / "architecture.md").read_text()
    for name in re.findall(r"`((?:src|webhook|certs|docs)(?:/[\w./-]+)?)`", text):
        assert (ROOT / name).exists(), name
    folders = set(re.findall(r"`((?:src/\w+|webhook(?:/\w+)?|certs))`", text.split("## Three")[0]))
    found = {p.parent.relative_to(ROOT) for d in ("src", "webhook", "certs") for p in (ROOT / d).rglob("*.c")}
    assert folders == set(map(str, found))
    code = "".join(p.read_text() for d in ("src", "webhook") for p in (ROOT / d).rglob("*.[ch]"))
    for name in re.findall(r"`(?:struct )?(\w+_\w+)`", text):
        assert re.search(rf"\b{name}\b", code), name


@pytest.mark.parametrize("page", ["README.md", "deploy/README.md", *(f"docs/{p.name}" for p in (ROOT / "docs").glob("*.md"))])
def test_links_lead_somewhere(page):
    """To a file, and to a heading in it."""
    path = ROOT / page
    for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", path.read_text()):
        name, _, anchor = target.partition("#")
        file = (path.parent / name).resolve() if name else path
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(), re.M)
            anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
            assert anchor in anchors, target

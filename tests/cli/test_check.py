"""`check`: valid and invalid policies, cases, namespaces, warnings."""

import re

import pytest

from clilib import OURS, ROOT

HARBOR = """\
apiVersion: harbor-pilot.io/v1alpha1
kind: Harbor
metadata: {name: h}
spec:
  host: h.example.com
  registries: {docker.io: hub, quay.io: quay}
  protected: [kube-system, "storage-*"]
"""


def policy(name, spec):
    return (
        "---\napiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\n"
        f"metadata: {{name: {name}}}\nspec: {spec}\n"
    )


@pytest.fixture
def folder(tmp_path):
    """A directory of policies with one that is fine."""
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "10.yaml").write_text(
        HARBOR + policy("apps", "{namespaces: [apps], exclude: [docker.io/library/busybox]}")
    )
    return tmp_path / "policies"


def check(program, folder, *args, status=0):
    """The JSON; the text says the same."""
    said = program("check", "--policies", folder, *args, "-o", "json", status=status).json()
    assert said.keys() >= {"policies", "errors", "warnings", "cases"} and said["cases"].keys() >= {
        "passed",
        "failed",
    }
    for finding in said["errors"] + said["warnings"]:
        assert finding.keys() >= {"file", "line", "column", "message"}, finding
    for case in said["cases"]["failed"]:
        assert case.keys() >= {"file", "line", "expected", "got"}, case
    text = program("check", "--policies", folder, *args, status=status)
    assert (
        text.out.splitlines()[-1]
        == f"{said['cases']['passed']} passed, {len(said['cases']['failed'])} failed"
    )
    for finding in said["errors"]:
        place = (
            f"{finding['file']}:{finding['line']}:{finding['column']}"
            if finding["line"]
            else finding["file"]
        )
        assert f"{place}: {finding['message']}" in text.err
    for finding in said["warnings"]:
        assert f": warning: {finding['message']}" in text.err
    for case in said["cases"]["failed"]:
        assert re.search(
            rf"^{re.escape(case['file'])}:{case['line']}: failed\n"
            rf" +expected +{re.escape(case['expected'])}\n"
            rf" +got +{re.escape(case['got'])}$",
            text.out,
            re.M,
        ), text.out
    return said


# --- policies ---


def test_the_example_policies(program):
    said = check(program, ROOT / "policies")
    assert (
        said["errors"] == said["warnings"] == []
        and said["policies"] == 3
        and said["cases"]["passed"] > 50
    )


def test_valid_policies_without_cases(program):
    assert check(program, OURS) == {
        "policies": 8,
        "errors": [],
        "warnings": [],
        "cases": {"passed": 0, "failed": []},
    }


@pytest.mark.parametrize(
    "wrong, line, said",
    [
        (
            policy("p", "{namespaces: [a], rollout: 101}"),
            12,
            "expected a whole number from 0 to 100",
        ),
        (policy("p", "{namespaces: [a], modee: audit}"), 12, "did you mean `mode`?"),
        (policy("p", "{namespaces: [a], mode: on}"), 12, "`disabled`, `audit` or `enforce`"),
        (policy("p", "{}"), 12, "no `namespaces`"),
        (policy("apps", "{namespaces: [b]}"), None, "already"),
        (policy("p", "{namespaces: [apps]}"), 12, "could both claim"),
        (
            policy("p", "{namespaces: ['a*', 'ap?s'], registries: [ghcr.io]}"),
            12,
            "not among the `registries`",
        ),
        (policy("p", "{namespaces: [a], harbor: other}"), 12, "no Harbor named `other`"),
        (policy("p", "{namespaces: [a], findings: {severity: none}}"), 12, "`findings.severity`"),
        ("---\nkind: Policy\n  bad: indentation\n", None, "not YAML"),
        (
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\nspec: {}\n",
            None,
            "harbor-pilot.io/v1alpha1",
        ),
    ],
)
def test_invalid_policies(program, folder, wrong, line, said):
    (folder / "20.yaml").write_text(policy("before", "{namespaces: [before]}") * 1 + wrong)
    found = check(program, folder, status=2)
    about = [e for e in found["errors"] if said in e["message"]]
    assert about and about[0]["file"] == str(folder / "20.yaml"), found["errors"]
    if line:
        assert about[0]["line"] == 10, about
    assert about[0]["line"] > 5 and about[0]["column"] > 0


def test_all_errors_at_once(program, folder):
    (folder / "20.yaml").write_text(policy("p", "{namespaces: [a], rollout: 101, modee: audit}"))
    (folder / "30.yaml").write_text(policy("q", "{rollout: x}"))
    found = check(program, folder, status=2)
    assert len(found["errors"]) >= 4 and {e["file"][-7:] for e in found["errors"]} == {
        "20.yaml",
        "30.yaml",
    }
    assert found["errors"] == sorted(
        found["errors"], key=lambda e: (e["file"], e["line"], e["column"])
    )


@pytest.mark.parametrize(
    "spec, said",
    [
        ("{namespaces: [Upper_Case]}", "can never match"),
        ("{namespaces: [kube-system]}", "only claims protected namespaces"),
        ("{namespaces: ['storage-a*']}", "protected"),
        ("{namespaces: [other, kube-system]}", "no effect"),
        ("{namespaces: [other, other]}", "a second time"),
        ("{namespaces: [apps], priority: -1}", "has a higher priority"),
        ("{namespaces: [other], findings: {}}", "has no `api`"),
        ("{namespaces: [other], findings: {unavailable: deny}}", "refuses every new image"),
        ("{namespaces: [other], exclude: [busybox]}", "matches nothing"),
    ],
)
def test_warnings(program, folder, spec, said):
    (folder / "20.yaml").write_text(policy("suspicious", spec))
    found = check(program, folder)
    assert found["errors"] == [] and any(
        said in w["message"] and w["file"].endswith("20.yaml") for w in found["warnings"]
    ), found


@pytest.mark.parametrize("broken", ["{host: h.example.com\n", "", "kind: Harbr\n"])
def test_a_harbor_that_cannot_be_read_is_one_error(program, folder, broken):
    """Its Policies are not told that there is none."""
    text = HARBOR.replace("  registries", "  registries: [") if not broken else HARBOR
    text = text.replace("kind: Harbor\n", broken) if "kind" in broken else text
    text = text.replace("  host: h.example.com\n", broken) if "{" in broken else text
    (folder / "00.yaml").write_text(text)
    (folder / "10.yaml").write_text(policy("a", "{namespaces: [a]}") + policy("b", "{namespaces: [b], harbor: h}"))
    found = check(program, folder, status=2)
    assert len(found["errors"]) == 1 and found["errors"][0]["file"].endswith("00.yaml"), found["errors"]


def test_no_harbor_is_still_an_error(program, folder):
    (folder / "10.yaml").write_text(policy("a", "{namespaces: [a]}"))
    assert "there is no Harbor document" in check(program, folder, status=2)["errors"][0]["message"]


@pytest.mark.parametrize("spec", ["{namespace: [x]}", "{namespaces: x}", "{namespaces: [1]}"])
def test_a_typo_is_not_told_twice(program, folder, spec):
    """Not also that the Policy `can never match`, which it would not be without the typo."""
    (folder / "20.yaml").write_text(policy("typo", spec))
    found = check(program, folder, status=2)
    assert found["warnings"] == [] and len(found["errors"]) <= 2


API = "  api: {url: 'https://h.example.com'}\n"


@pytest.mark.parametrize("harbor, spec, warned", [
    (API, "{namespaces: ['*']}", True),
    (API, "{namespaces: [a, '**'], mode: audit}", True),
    (API, "{namespaces: ['*'], mode: disabled}", False),
    (API, "{namespaces: ['app-*', registry]}", False),
    (API + "  protected: [kube-system, registry]\n", "{namespaces: ['*']}", False),
    ("", "{namespaces: ['*']}", False),
])
def test_everything_with_a_harbor_that_nobody_protects(program, tmp_path, harbor, spec, warned):
    head = HARBOR[: HARBOR.index("  protected")]
    (tmp_path / "p.yaml").write_text(head + harbor + policy("all", spec))
    said = [w for w in check(program, tmp_path)["warnings"] if "in which Harbor runs" in w["message"]]
    assert len(said) == warned
    assert all("`protected` of Harbor `h`" in w["message"] and w["line"] > 6 for w in said)


def test_the_own_namespace_is_harbor_pilot_unless_told(program, tmp_path):
    (tmp_path / "p.yaml").write_text(HARBOR + policy("all", "{namespaces: ['*']}"))
    (tmp_path / "p.cases").write_text("harbor-pilot nginx keep:protected\nhp nginx h.example.com/hub/library/nginx\n")
    assert check(program, tmp_path / "p.yaml")["cases"]["passed"] == 2
    told = {"HARBOR_PILOT_NAMESPACE": "hp"}
    program("check", "--policies", tmp_path, env=told, status=1)
    asked = ["explain", "nginx", "-n", "harbor-pilot", "--policies", tmp_path, "-o", "json"]
    assert program(*asked).json()["rewrite"]["reason"] == "protected"
    assert program(*asked, env=told).json()["rewrite"]["reason"] == "rewritten"


def test_dead_policies_are_named(program, folder):
    (folder / "20.yaml").write_text(
        policy("high", "{namespaces: ['web-*'], priority: 5}")
        + policy("dead", "{namespaces: ['web-a*', web-b]}")
        + policy("alive", "{namespaces: [other]}")
    )
    found = check(program, folder)
    dead = [w for w in found["warnings"] if "can never match a namespace" in w["message"]]
    assert [("`dead`" in w["message"], w["line"]) for w in dead] == [(True, 7)]


# --- cases ---


def test_failed_cases(program, folder):
    (folder / "10.cases").write_text(
        "# a comment\n\napps nginx:1 h.example.com/hub/library/nginx:1\n"
        "apps  nginx:1   h.example.com/hub/nginx:1  # a comment\n"
        "apps\tbusybox\tkeep:excluded\r\n"
        "apps busybox h.example.com/hub/library/busybox\napps nginx keep:excluded\n"
    )
    found = check(program, folder, status=1)
    file = str(folder / "10.cases")
    assert found["cases"] == {
        "passed": 2,
        "failed": [
            {
                "file": file,
                "line": 4,
                "expected": "h.example.com/hub/nginx:1",
                "got": "h.example.com/hub/library/nginx:1",
            },
            {
                "file": file,
                "line": 6,
                "expected": "h.example.com/hub/library/busybox",
                "got": "keep:excluded",
            },
            {
                "file": file,
                "line": 7,
                "expected": "keep:excluded",
                "got": "h.example.com/hub/library/nginx",
            },
        ],
    }


def test_options_of_cases(program, folder):
    (folder / "10.cases").write_text(
        "apps nginx keep:owned-by-operator owner=example.com/Thing/x\n"
        "apps nginx keep:pull-policy-never pull-policy=Never\n"
        "apps nginx h.example.com/hub/library/nginx owner=apps/ReplicaSet/web-5d4f hash=5d4f\n"
        "apps nginx keep:owned-by-operator owner=core/Node/n\n"
    )
    assert check(program, folder)["cases"] == {"passed": 4, "failed": []}


@pytest.mark.parametrize(
    "line, said",
    [
        ("apps nginx", "NAMESPACE IMAGE EXPECTED"),
        ("apps", "NAMESPACE IMAGE EXPECTED"),
        ("apps nginx keep:nonsense", "not a reason to keep"),
        ("apps nginx keep:rewritten", "not a reason to keep"),
        ("apps nginx keep:", "not a reason to keep"),
        ("apps nginx x nonsense=1", "not an option of a case"),
        ("apps nginx x owner=a/b", "GROUP/KIND/NAME"),
        ("apps nginx deny:excluded", "not a reason to refuse"),
        ("apps nginx x facts=f.json", "f.json: "),
        ("apps nginx x facts=", "cannot"),
    ],
)
def test_lines_that_are_no_cases(program, folder, line, said):
    """An error with its line; the others are still run."""
    (folder / "10.cases").write_text(
        f"apps busybox keep:excluded\n{line}\napps nginx keep:excluded\n"
    )
    found = check(program, folder, status=2)
    assert [(e["file"], e["line"]) for e in found["errors"]] == [
        (str(folder / "10.cases"), 2)
    ] and said in found["errors"][0]["message"]
    assert found["cases"]["passed"] == 1 and len(found["cases"]["failed"]) == 1


def test_which_files_are_run(program, folder, tmp_path):
    """Beside a directory all *.cases, beside a file its own, and those of --cases."""
    one = "apps busybox keep:excluded\n"
    (folder / "10.cases").write_text(one)
    (folder / "other.cases").write_text(one * 2)
    (folder / ".hidden.cases").write_text("nonsense\n")
    (folder / "no-cases.txt").write_text("nonsense\n")
    (tmp_path / "more.txt").write_text(one * 4)
    (tmp_path / "yet-more").write_text(one * 8)
    assert check(program, folder)["cases"]["passed"] == 3
    assert check(program, str(folder) + "/")["cases"]["passed"] == 3
    assert check(program, folder / "10.yaml")["cases"]["passed"] == 1
    assert (
        check(program, folder, "--cases", tmp_path / "more.txt", "--cases", tmp_path / "yet-more")[
            "cases"
        ]["passed"]
        == 15
    )
    found = check(program, folder, "--cases", tmp_path / "missing", status=2)
    assert found["errors"][0]["file"] == str(tmp_path / "missing") and found["cases"]["passed"] == 3


# --- namespaces ---


def test_namespaces(program, folder, tmp_path):
    names = tmp_path / "names"
    for text in (
        "apps\nkube-system\nbackup\nstorage-a\ndev\n",
        "namespace/apps\nnamespace/backup\nnamespace/dev\n",
        "apps backup, dev\t\r\n",
    ):
        names.write_text(text)
        assert check(program, folder, "--namespaces", names)["unclaimed"] == ["backup", "dev"]
        assert (
            "no Policy claims: backup, dev\n"
            in program("check", "--policies", folder, "--namespaces", names).out
        )
    names.write_text("apps\n")
    assert check(program, folder, "--namespaces", names)["unclaimed"] == []
    assert (
        "no Policy claims" not in program("check", "--policies", folder, "--namespaces", names).out
    )
    assert "unclaimed" not in check(program, folder)
    assert check(program, folder, "--namespaces", tmp_path / "missing", status=2)["errors"][0][
        "file"
    ] == str(tmp_path / "missing")


def test_yml_beside_yaml(program, tmp_path):
    """Both endings of policies, in the order of names, and hidden names left out."""
    (tmp_path / "a.yaml").write_text(HARBOR)
    (tmp_path / "b.yml").write_text(policy("p", "{namespaces: [a]}"))
    (tmp_path / ".c.yml").write_text("nonsense")
    (tmp_path / "d.yml.orig").write_text("nonsense")
    result = program("check", "--policies", tmp_path)
    assert "1 policies, 0 errors" in result.out
    (tmp_path / "b.cases").write_text("nonsense\n")
    one = program("check", "--policies", tmp_path / "a.yaml", "--policies", tmp_path / "b.yml", status=2)
    assert "b.cases:1" in one.err, "the cases beside one file"

"""`plan`, `explain` and the server decide the same: each Pod goes through `plan -o json` and, as an
AdmissionReview, through a running server, and the decisions are compared member by member. What the
server decided is in its log (all images of a Pod of which one was rewritten), in its patch, in the
audit annotations and in its metrics."""

import itertools
import json

import pytest
import yaml

import corpus
from clilib import OURS, ROOT, apply_patch, check_decision, check_plan, find, pod, review

EXAMPLES = ROOT / "policies" / "estate"
REVIEWS = ROOT / "tests" / "data" / "admission-reviews"
NOT_OF_THE_DECISION = ("document", "kind", "namespace", "name", "mode")
numbers = itertools.count(1)


def decision_of(image, pointer=""):
    """What of an image in a plan the server says too."""
    decision = {k: v for k, v in image.items() if k not in NOT_OF_THE_DECISION}
    assert decision["field"].startswith(pointer)
    return {**decision, "field": decision["field"].removeprefix(pointer)}


def images_by_document(plan):
    return [
        list(images)
        for _, images in itertools.groupby(plan["images"], key=lambda image: image["document"])
    ]


class Asked:
    """One review: what the plan says of it, and what the server said."""

    def __init__(self, server, mode, sent, planned, pointer="", ignore=()):
        self.uid, self.planned, self.ignore = sent["request"]["uid"], planned, set(ignore)
        self.decisions = [decision_of(image, pointer) for image in planned]
        self.rewritten = [d for d in self.decisions if d["rewrite"]["outcome"] == "rewrite"]
        before = server.counts()
        response = server.post(f"/mutate/{mode}", sent)
        after = server.counts()
        self.counted = {k: n - before.get(k, 0) for k, n in after.items() if n != before.get(k, 0)}
        self.response, self.sent = response, sent
        # a workload that repeats itself is logged once a minute
        repeats = json.dumps(
            [[i["mode"] + i["namespace"] for i in planned], self.decisions], sort_keys=True
        )
        self.logged = bool(self.rewritten) and repeats not in server.asked
        server.asked.add(repeats)
        self.check()

    def check(self):
        where = (self.uid, self.planned[:1])
        counted = {}
        for image in self.planned:
            key = (
                image.get("policy", ""),
                image["rewrite"]["outcome"],
                image["rewrite"]["reason"],
                image["mode"],
            )
            counted[key] = counted.get(key, 0) + 1
        assert self.counted == counted, where
        enforced = {image["mode"] for image in self.planned} == {"enforce"}
        annotations = self.response.get("auditAnnotations", {})
        policies = {image.get("policy") for image in self.planned}
        assert {annotations.get("policy")} == (policies or {annotations.get("policy")}), where
        noted = [
            json.loads(v) for k, v in annotations.items() if k.startswith(("image-", "volume-"))
        ]
        assert (
            self.same(sorted(noted, key=str), sorted(self.rewritten, key=str)) or not self.labels()
        ), where
        obj = self.sent["request"]["object"]
        if "patch" in self.response:
            assert (
                enforced
                and self.rewritten
                or "imagePullSecrets" in json.dumps(self.response["patch"])
            ), where
            obj = apply_patch(obj, self.response["patch"])
        else:
            assert not enforced or not self.rewritten, where
        for decision in self.decisions:
            wanted = decision["result"] if enforced else decision["image"]
            assert find(obj, decision["field"]) == wanted, where

    def labels(self):
        """Whether all names can stand in the key of an annotation, in full."""
        return all(len(d.get("container", d.get("volume"))) <= 48 for d in self.rewritten)

    def same(self, ones, others):
        def without(decisions):
            return [{k: v for k, v in d.items() if k not in self.ignore} for d in decisions]

        return without(ones) == without(others)

    def check_log(self, line):
        assert (
            line["mode"] == self.planned[0]["mode"]
            and line["namespace"] == self.planned[0]["namespace"]
        ), line
        for decision in line["images"]:
            check_decision(decision)
        assert self.same(line["images"], self.decisions), (line["images"], self.decisions)


def compare(server, asked):
    """The log comes a moment later than the answers."""
    logged = {a.uid: a for a in asked if a.logged}
    assert logged
    for uid, line in server.log_of(logged.keys()).items():
        logged[uid].check_log(line)


# --- the tables of cases ---


def cases():
    """(file and line, columns, options) of every case of the example policies."""
    for file in sorted(EXAMPLES.glob("*.cases")):
        for number, line in enumerate(file.read_text().splitlines(), 1):
            columns = line.split("#")[0].split()
            if columns:
                yield f"{file.name}:{number}", columns[:3], dict(
                    column.split("=", 1) for column in columns[3:]
                )


def pod_of_case(namespace, image, options):
    made = pod(image, namespace=namespace, name=f"case-{next(numbers)}")
    made["spec"]["containers"][0][
        "name"
    ] = f"case-{next(numbers)}"  # a repeated Pod would be logged once
    if "owner" in options:
        group, kind, name = options["owner"].split("/")
        version = "v1" if group == "core" else f"{group}/v1"
        made["metadata"]["ownerReferences"] = [
            {"apiVersion": version, "kind": kind, "name": name, "uid": "u", "controller": True}
        ]
    if "hash" in options:
        made["metadata"]["labels"] = {"pod-template-hash": options["hash"]}
    if "pull-policy" in options:
        made["spec"]["containers"][0]["imagePullPolicy"] = options["pull-policy"]
    return made


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_every_case(program, serve, mode):
    listed = list(cases())
    assert len(listed) > 50
    server, asked = serve(EXAMPLES), []
    pods = [pod_of_case(columns[0], columns[1], options) for _, columns, options in listed]
    plan = program.plan("\n".join(map(json.dumps, pods)), "--assume-mode", mode, policies=EXAMPLES)
    for (place, columns, _), made, planned in zip(listed, pods, images_by_document(plan)):
        got = (
            planned[0]["result"]
            if planned[0]["rewrite"]["outcome"] == "rewrite"
            else "keep:" + planned[0]["rewrite"]["reason"]
        )
        assert got == columns[2], place
        asked.append(Asked(server, mode, review(made, uid=f"case-{mode}-{place}"), planned))
    assert len(asked) == len(listed)
    compare(server, asked)


def test_explain_agrees(program):
    """Every case once more; the bucket of a Pod by itself is its name's, which explain does not ask
    for."""
    listed = list(cases())
    pods = [pod_of_case(columns[0], columns[1], options) for _, columns, options in listed]
    plan = program.plan("\n".join(map(json.dumps, pods)), policies=EXAMPLES)
    for (place, columns, options), image in zip(listed, plan["images"]):
        args = [
            word
            for option, key in (
                ("--owner", "owner"),
                ("--pod-template-hash", "hash"),
                ("--pull-policy", "pull-policy"),
            )
            if key in options
            for word in (option, options[key])
        ]
        said = program(
            "explain", columns[1], "-n", columns[0], "--policies", EXAMPLES, "-o", "json", *args
        ).json()
        ignore = {"container"} | (set() if "owner" in options else {"bucket"})
        assert said["mode"] == image["mode"], place
        assert {k: v for k, v in decision_of(image).items() if k not in ignore} == {
            k: said[k] for k in decision_of(image) if k not in ignore
        }, place


# --- captured reviews ---


@pytest.mark.parametrize("mode", ["enforce", "audit"])
@pytest.mark.parametrize("policies", [EXAMPLES, OURS], ids=["examples", "ours"])
def test_every_captured_review(program, serve, policies, mode):
    server, asked = serve(policies), []
    files = sorted(REVIEWS.glob("*.json"))
    assert len(files) > 5
    for file in files:
        for namespace in (None, "loki", "monitoring"):  # its own, and two that are claimed
            sent = json.loads(file.read_text())
            sent["request"]["uid"] = f"{file.stem}-{mode}-{namespace}"
            if namespace:
                sent["request"]["namespace"] = namespace
            plan = program.plan(json.dumps(sent), "--assume-mode", mode, policies=policies)
            asked.append(Asked(server, mode, sent, plan["images"]))
    compare(server, asked)


# --- the corpus ---


def who(manifest):
    """A node makes what a manifest calls a mirror Pod, for plan believes it; templates make none."""
    mirror = "kubernetes.io/config.mirror" in manifest["metadata"].get("annotations", {})
    return {"userInfo": {"username": "system:node:n1"}} if mirror else {}


@pytest.mark.parametrize("mode", ["enforce", "audit"])
def test_corpus(program, serve, mode, tmp_path):
    """A few hundred manifests: plan reads the manifests, in several files and forms, and the server
    gets the Pods that they make. Some have names that nobody can know before, so that their bucket
    is not compared; corpus.py puts none of them where a rollout is under way."""
    made = list(corpus.objects())
    assert len(made) > 300
    command = ["plan", "--policies", OURS, "-o", "json", "--assume-mode", mode]
    for template in corpus.TEMPLATES:
        command += ["--template", template]
    third = len(made) // 3
    manifests = [manifest for manifest, _, _ in made]
    (tmp_path / "a.yaml").write_text(
        yaml.dump_all(manifests[:third], Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper))
    )
    (tmp_path / "b.json").write_text(
        json.dumps(
            {"apiVersion": "v1", "kind": "List", "items": manifests[third : 2 * third]}, indent=2
        )
    )
    (tmp_path / "c.json").write_text("\n".join(map(json.dumps, manifests[2 * third :])))
    for name in ("a.yaml", "b.json", "c.json"):
        command += ["-f", tmp_path / name]
    plan = check_plan(program(*command).json())
    assert set(plan["summary"]["reasons"]) == {
        "protected",
        "no-policy",
        "policy-disabled",
        "mirror-pod",
        "opted-out",
        "owned-by-operator",
        "pull-policy-never",
        "placeholder",
        "unparseable",
        "already-in-harbor",
        "registry-not-proxied",
        "excluded",
        "not-in-rollout",
        "too-long",
        "rewritten",
    }, "every reason occurs that a Pod's creation can have"
    planned = images_by_document(plan)
    assert len(planned) == len(made), "each stands on lines of its own"
    server, asked = serve(OURS), []
    for number, ((manifest, pod_, pointer), images) in enumerate(zip(made, planned)):
        assert {(i["kind"], i["name"], i["namespace"]) for i in images} == {
            (manifest["kind"], manifest["metadata"]["name"], manifest["metadata"]["namespace"])
        }
        pod_ = {**pod_, "metadata": {**pod_["metadata"]}}
        asked.append(
            Asked(
                server,
                mode,
                review(pod_, uid=f"corpus-{mode}-{number}", **who(manifest)),
                images,
                pointer,
                ignore={"bucket"} if manifest["kind"] in corpus.WITHOUT_BUCKET else (),
            )
        )
    compare(server, asked)
    assert sum(len(a.decisions) for a in asked) == plan["summary"]["images"] > 400

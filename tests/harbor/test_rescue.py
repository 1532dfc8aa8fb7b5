"""`rescue` while Harbor is well: only what Harbor itself says that it would refuse is put back, and asked the account's own way."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

import fake_harbor as f
from conftest import HOST

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "cli"))

from fake_api import FakeApi  # noqa: E402

PUBLIC, PRIVATE = "docker-hub-proxy", "private-proxy"
DOMAINS = {PUBLIC: "docker.io", PRIVATE: "private.example.com"}
# what Harbor answers -> (project, pull secrets of the Pod, what becomes of it, why)
CASES = {
    "in its database": ({"artifact": f.PRESENT}, PUBLIC, (), "left", "harbor-healthy"),
    "its upstream has it": ({"artifact": f.ABSENT, "manifest": f.to_token(f.SERVED)}, PUBLIC, (), "left", "harbor-healthy"),
    "its upstream does not": ({"artifact": f.ABSENT, "manifest": f.to_token(f.NOT_SERVED)}, PUBLIC, (), "restored", "not-in-harbor"),
    "its pull gate": ({"artifact": f.play(7046), "manifest": f.to_token(f.play(7047))}, PUBLIC, (), "restored", "refused-by-harbor"),
    "a private project": ({"artifact": f.PRESENT}, PRIVATE, (), "restored", "pull-secret-missing"),
    "a private project, and a secret": ({"artifact": f.PRESENT}, PRIVATE, ("x",), "left", "harbor-healthy"),
    "not for our account": ({"artifact": f.play(4025)}, PRIVATE, ("x",), "restored", "harbor-auth"),
    "no word": ({"artifact": f.status("500 Internal Server Error")}, PUBLIC, (), "left", "not-known-in-time"),
}


@pytest.fixture
def rescue(places, fake, tmp_path):
    api = FakeApi(tmp_path)
    policies = places.write_policies(fake.url)

    def run(*arguments):
        done = subprocess.run([places.binary, "rescue", "--policies", policies, "--yes", "-o", "json", *arguments],
                              env={**os.environ, "PATH": f"{api.tools}:{os.environ['PATH']}"}, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, timeout=60)
        return done.returncode, json.loads(done.stdout)["items"]
    run.api = api
    yield run
    api.close()


def waiting(project, secrets):
    image, original = f"{HOST}/{project}/team/app:1", f"{DOMAINS[project]}/team/app:1"
    return {"metadata": {"name": "web", "namespace": "servable-keep",
                         "annotations": {"harbor-pilot.io/original-images": json.dumps({"app": original})}},
            "spec": {"containers": [{"name": "app", "image": image}], "imagePullSecrets": [{"name": name} for name in secrets]},
            "status": {"containerStatuses": [{"name": "app", "state": {"waiting": {"reason": "ErrImagePull"}}}]}}


@pytest.mark.parametrize("case", CASES)
def test_what_harbor_says(fake, rescue, case):
    answers, project, secrets, result, reason = CASES[case]
    fake.images[project, "team/app"] = answers
    if case == "its pull gate":
        fake.projects[project] = f.play(7001)  # one that has a gate
    rescue.api.put(waiting(project, secrets))
    status, items = rescue()
    assert [(item["result"], item["reason"]) for item in items] == [(result, reason)]
    assert status == (0 if result == "restored" else 1)
    image = rescue.api.pods["servable-keep", "web"]["spec"]["containers"][0]["image"]
    assert image == (f"{DOMAINS[project]}/team/app:1" if result == "restored" else f"{HOST}/{project}/team/app:1")


@pytest.mark.parametrize("fault", ["refuse", "hang_all"])
def test_a_harbor_that_is_down_is_not_asked_about_images(fake, rescue, fault):
    getattr(fake, fault)()
    rescue.api.put(waiting(PUBLIC, ()))
    status, items = rescue()
    assert (status, [(item["result"], item["reason"]) for item in items]) == (0, [("restored", "harbor-down")])
    assert not fake.asked("artifact")


def test_an_account_that_harbor_does_not_know(fake, rescue):
    fake.account = ("robot$admission", "another")
    rescue.api.put(waiting(PUBLIC, ()))
    status, items = rescue()
    assert (status, [(item["result"], item["reason"]) for item in items]) == (0, [("restored", "harbor-auth")])

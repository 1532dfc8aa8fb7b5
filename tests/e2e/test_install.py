"""deploy/install.sh and the image, as a user meets them: what is refused, shown, narrowed and taken away."""

import json
import os
import shutil
import subprocess
import tarfile
import time

import pytest

from harness import PROJECT

POLICY = "/apis/networking.k8s.io/v1/namespaces/harbor-pilot/networkpolicies/harbor-pilot"
CONFIG_MAP = "/api/v1/namespaces/harbor-pilot/configmaps/harbor-pilot-policies"


def script(cluster, binary, *arguments, **environment):
    """install.sh, whatever it answers."""
    return subprocess.run([PROJECT / "deploy" / "install.sh", *arguments], capture_output=True, text=True, env={
        **os.environ, "HARBOR_PILOT": str(binary), "KUBECTL": cluster.kubectl_program,
        "KUBECONFIG": cluster.env["KUBECONFIG"], **environment})


def api_servers(cluster):
    subsets = cluster.api.get("/api/v1/namespaces/default/endpoints/kubernetes")["subsets"]
    return [{"ipBlock": {"cidr": f"{address['ip']}/32"}} for subset in subsets for address in subset["addresses"]]


def test_only_the_api_servers_may_call(cluster):
    ingress = cluster.api.get(POLICY)["spec"]["ingress"]
    assert ingress[0]["from"] == api_servers(cluster)
    assert not [item for item in cluster.api.get("/api/v1/namespaces")["items"]
                if item["metadata"]["name"].startswith("harbor-pilot-probe") and item["status"]["phase"] != "Terminating"]


def test_where_no_review_arrives_the_rule_is_taken_back(cluster, install, work):
    """kubectl with a NetworkPolicy in force: once only those addresses may call, the API server's calls do not arrive."""
    wrapper = work / "kubectl-behind-a-network-policy"
    wrapper.write_text(f"""#!/bin/sh
case "$*" in *"configmap probe --dry-run=server"*) echo 'failed calling webhook: context deadline exceeded' >&2; exit 1 ;; esac
exec {cluster.kubectl_program} "$@"
""")
    wrapper.chmod(0o755)
    said = install(KUBECTL=str(wrapper))
    assert "no review arrives" in said and "context deadline exceeded" in said and "as before" in said
    assert "from" not in cluster.api.get(POLICY)["spec"]["ingress"][0]
    assert "only the API servers may call" in install()
    assert cluster.api.get(POLICY)["spec"]["ingress"][0]["from"] == api_servers(cluster)


def test_calls_go_to_harbor_alone(cluster, install):
    install("--harbor-address", "192.0.2.7/32")
    assert cluster.api.get(POLICY)["spec"]["egress"][0]["to"] == [{"ipBlock": {"cidr": "192.0.2.7/32"}}]
    install()
    assert "to" not in cluster.api.get(POLICY)["spec"]["egress"][0]


def test_policies_with_an_error_are_refused_before_anything_changes(cluster, install, binary, work):
    broken = work / "a typo & = in it"
    shutil.copytree(install.policies, broken)
    (broken / "20-mission.yaml").write_text((broken / "20-mission.yaml").read_text().replace("namespaces:", "namespace:"))
    before = cluster.api.get(CONFIG_MAP)
    began = time.monotonic()
    done = script(cluster, binary, "--image", install.image, "--policies", str(broken))
    assert done.returncode == 1 and "20-mission.yaml:6" in done.stderr and "nothing was changed" in done.stderr
    assert "installed" not in done.stderr and time.monotonic() - began < 10
    assert cluster.api.get(CONFIG_MAP) == before


def test_a_dry_run_shows_what_would_change(cluster, install, binary, work):
    arguments = ["--image", install.image, "--dry-run", "--policies"]
    same = script(cluster, binary, *arguments, str(install.policies))
    assert (same.returncode, same.stdout) == (0, "") and "nothing would change" in same.stderr
    changed = work / "changed-policies"
    shutil.copytree(install.policies, changed)
    (changed / "10-harbor.yaml").write_text((changed / "10-harbor.yaml").read_text() + "# a change\n")
    before = cluster.api.get(CONFIG_MAP)
    done = script(cluster, binary, *arguments, str(changed))
    assert done.returncode == 0 and any(line.startswith("+") and "# a change" in line for line in done.stdout.splitlines())
    assert cluster.api.get(CONFIG_MAP) == before


def test_an_upgrade_says_what_is_in_force(cluster, install):
    cluster.namespace("e2e-install-moved", "enforce")
    cluster.namespace("e2e-install-watched", "audit")
    said = install()
    assert "Nothing is rewritten yet" not in said
    assert "e2e-install-moved" in said.partition("enforce:")[2].splitlines()[0]
    assert "e2e-install-watched" in said.partition("audit:")[2].splitlines()[0]


@pytest.mark.parametrize("image", ["a&b:1", "a b:1", "a|b:1", "", "-x:1", "a\nb:1"])
def test_an_image_that_is_none_is_refused(cluster, binary, image):
    done = script(cluster, binary, "--image", image)
    assert done.returncode == 1 and f"--image is `{image}`" in done.stderr


def test_help(cluster, binary):
    done = script(cluster, binary, "--help")
    assert done.returncode == 0 and "--uninstall" in done.stdout and done.stderr == ""


def test_the_image_has_authorities_and_names_its_packages(install):
    found = {}
    with tarfile.open(install.archive) as archive:
        (manifest,) = json.load(archive.extractfile("manifest.json"))
        for layer in manifest["Layers"]:
            with tarfile.open(fileobj=archive.extractfile(layer)) as files:
                found.update({"/" + item.name: files.extractfile(item).read() for item in files if item.isfile()})
    assert b"BEGIN CERTIFICATE" in found["/etc/ssl/certs/ca-certificates.crt"]
    assert b"ID=debian" in found["/etc/os-release"]
    packages = {name.rpartition("/")[2]: dict(line.split(": ", 1) for line in text.decode().splitlines())
                for name, text in found.items() if name.startswith("/var/lib/dpkg/status.d/")}
    for name in ("libc6", "libcurl4", "libgnutls30", "libmicrohttpd12", "libssl3", "libyaml-0-2"):
        assert packages[name]["Package"] == name and packages[name]["Status"] == "install ok installed"
        version = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True, check=True)
        assert packages[name]["Version"] == version.stdout
    assert not [name for name in found if name.endswith(("/sh", "/bash", "/dpkg"))]

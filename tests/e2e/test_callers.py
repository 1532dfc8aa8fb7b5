"""Only the API server may call: with --client-ca-file, who shows no certificate is refused, and Pods are moved as before."""

import http.client
import json
import ssl
import subprocess

import pytest

from harness import images, nobody_schedules, pod, pod_spec, wait

DEPLOYMENT = "/apis/apps/v1/namespaces/harbor-pilot/deployments/harbor-pilot"
DIRECTORY = "/etc/harbor-pilot/callers"
REVIEW = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
    "uid": "1", "operation": "CREATE", "namespace": "callers-moved", "resource": {"group": "", "version": "v1", "resource": "pods"},
    "object": pod("web", pod_spec("web:1"))}})


def is_built(binary):
    said = subprocess.run([binary, "serve", "--client-ca-file", "x", "--policies", "x", "--tls-cert-file", "x",
                           "--tls-private-key-file", "x"], capture_output=True, text=True, timeout=30)
    return "not built yet" not in said.stderr


@pytest.fixture(scope="module")
def verified(cluster, binary, callers):
    """harbor-pilot as deploy/README.md says that it is told whom to believe."""
    if not is_built(binary):
        pytest.skip("this harbor-pilot says that --client-ca-file is not built yet")
    before = cluster.api.get(DEPLOYMENT)["spec"]["template"]["spec"]
    cluster.kubectl("-n", "harbor-pilot", "create", "secret", "generic", "harbor-pilot-callers", f"--from-file={callers}/ca.crt")
    container = before["containers"][0]
    set_template(cluster, {
        "containers": [{"name": container["name"], "args": [*container["args"], f"--client-ca-file={DIRECTORY}/ca.crt"],
                        "volumeMounts": [{"name": "callers", "mountPath": DIRECTORY, "readOnly": True}]}],
        "volumes": [{"name": "callers", "secret": {"secretName": "harbor-pilot-callers", "defaultMode": 0o440}}]})
    yield
    set_template(cluster, {"containers": [{"name": container["name"], "args": container["args"],
                                           "volumeMounts": [{"$patch": "delete", "mountPath": DIRECTORY}]}],
                           "volumes": [{"$patch": "delete", "name": "callers"}]})
    cluster.kubectl("-n", "harbor-pilot", "delete", "secret", "harbor-pilot-callers")


def set_template(cluster, spec):
    """Only Pods of that template are left, at once: old ones would drain for a minute and more."""
    old = {item["metadata"]["name"] for item in cluster.harbor_pilot_pods()}
    cluster.api.request("PATCH", DEPLOYMENT, {"spec": {"template": {"spec": spec}}},
                        content_type="application/strategic-merge-patch+json")
    cluster.kubectl("-n", "harbor-pilot", "rollout", "status", "deployment/harbor-pilot", "--timeout=60s")
    for name in old:
        cluster.kubectl("-n", "harbor-pilot", "delete", "pod", name, "--grace-period=0", "--force", "--ignore-not-found")
    wait("the old Pods to be gone", lambda: not old & {item["metadata"]["name"] for item in cluster.pods("harbor-pilot")}, 60)
    cluster.running("harbor-pilot", 2, 60, **{"app.kubernetes.io/name": "harbor-pilot"})


def post(item, path, certificate=None):
    """The status of a review that somebody in the cluster posts to a Pod."""
    context = ssl._create_unverified_context()
    if certificate:
        context.load_cert_chain(certificate / "tls.crt", certificate / "tls.key")
    connection = http.client.HTTPSConnection(item["status"]["podIP"], 8443, context=context, timeout=10)
    try:
        connection.request("POST", path, REVIEW, {"Content-Type": "application/json"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_api_server_presents_its_certificate_and_nobody_else_is_answered(cluster, verified, callers):
    namespace = cluster.namespace("e2e-callers-moved", "enforce")
    for number in range(10):  # both Pods are called
        made = cluster.create(namespace, pod(f"web-{number}", nobody_schedules(pod_spec("web:1"))))
        assert images(made) == {"app": cluster.rewritten("web:1")}
    assert not cluster.failed_open(namespace)
    for item in cluster.harbor_pilot_pods():
        for path in ("/mutate/enforce", "/mutate/audit", "/validate/enforce", "/validate/audit"):
            assert post(item, path) == 403
            assert post(item, path, callers) == 200
        assert cluster.admin(item, "/readyz")[0] == 200  # the kubelet shows none

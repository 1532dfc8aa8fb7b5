"""What other people's estates broke: Pods of operators that compare images, and of Argo Rollouts."""

import json

import pytest

from harness import images, pod_spec, workload

WEB = "web:1"


@pytest.fixture(scope="module", autouse=True)
def pushed(cluster):
    cluster.push(WEB)


def decision(cluster, namespace, name):
    """What the API server's audit log has of the image of a Pod, or None where nothing was rewritten."""
    (event,) = cluster.audit_events(namespace, name)
    said = event.get("annotations", {}).get("mutate-enforce.harbor-pilot.io/image-app")
    return said and json.loads(said)


@pytest.mark.parametrize("name, moved", [("longhorn-manager", False), ("longhorn-csi-plugin", True)])
def test_a_pod_that_looks_like_longhorns_manager_is_kept(cluster, name, moved):
    """It waits for Pods with the very image that its argument names."""
    namespace = cluster.namespace(f"e2e-{name}", "enforce")
    spec = pod_spec(WEB)
    spec["containers"][0]["args"] = [*spec["containers"][0].get("args", []), "--manager-image", WEB]
    cluster.create(namespace, workload("DaemonSet", name, spec))
    (item,) = cluster.running(namespace, 1, app=name)
    assert images(item) == {"app": cluster.rewritten(WEB) if moved else WEB}


def test_each_revision_of_a_rollout_has_the_same_bucket(cluster):
    """Argo Rollouts makes ReplicaSets NAME-HASH with a hash label of its own."""
    namespace = cluster.namespace("e2e-rollouts", "enforce")
    said = []
    for revision in ("6d4cf56db6", "7f9b8c5d44"):
        made = workload("ReplicaSet", f"canary-{revision}", pod_spec(WEB))
        made["spec"]["template"]["metadata"]["labels"]["rollouts-pod-template-hash"] = revision
        cluster.create(namespace, made)
        (item,) = cluster.running(namespace, 1, app=f"canary-{revision}")
        said.append(decision(cluster, namespace, item["metadata"]["name"]))
    assert said[0]["bucket"] == said[1]["bucket"]

"""A Harbor whose certificate is of an authority that the image brings, and an `api` without caFile."""

import json

from harbor import ACCOUNT_DIRECTORY
from harness import images, nobody_schedules, pod, pod_spec, wait

IMAGE = "authorities/web:1"


def test_without_a_file_the_authorities_in_the_image_count(cluster, harbor, install, work):
    cluster.push(IMAGE)
    harbor.set_cached(IMAGE)
    document = harbor.document.replace(f", caFile: {ACCOUNT_DIRECTORY}/ca.crt", "")
    assert "caFile" not in document
    policy = {"apiVersion": "harbor-pilot.io/v1alpha1", "kind": "Policy", "metadata": {"name": "authorities"},
              "spec": {"harbor": "asked", "namespaces": ["authorities-test"]}}
    directory = work / "policies-without-ca-file"
    directory.mkdir()
    for file in install.policies.glob("*.yaml"):
        (directory / file.name).write_bytes(file.read_bytes())
    (directory / "50-asked.yaml").write_text(f"{document}---\n{json.dumps(policy)}\n")
    cluster.load_policies(directory)
    try:
        wait("Harbor to be known as up", harbor.is_up, 60)
        namespace = cluster.namespace("authorities-test", "enforce")
        made = cluster.create(namespace, pod("web", nobody_schedules(pod_spec(IMAGE))))
        assert images(made) == {"app": cluster.rewritten(IMAGE)}
        for item in cluster.harbor_pilot_pods():
            assert not cluster.harbor_pilot_events(item, "harbor-authorities")
    finally:
        cluster.load_policies(install.policies)

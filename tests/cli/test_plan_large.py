"""A cluster of 5,000 Pods as `kubectl get pods -A -o json` prints it, about 40 MB: under 2 seconds
and under 300 MiB."""

import json
import random

import pytest

from clilib import OURS, check_plan

PODS = 5000
LIMIT_SECONDS, LIMIT_MIB = 2, 300
NAMESPACES = [
    "loki",
    "monitoring",
    "apps",
    "gitea",
    "matrix",
    "kube-system",
    "nobody",
    "team-red",
    "batch",
    "default",
]
IMAGES = [
    "nginx:1.27",
    "quay.io/prometheus/prometheus:v3.0.1",
    "ghcr.io/org/app:v{n}",
    "grafana/grafana:11.{n}.0",
    "registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.14.0",
    "gcr.io/project/service:{n}",
    "registry.corp.example:5000/team/service-{n}:1.0.{n}",
    "busybox:1.36",
]


def managed_fields(manager, depth):
    fields = {f"f:{manager}-field-{n}": {f"f:part-{k}": {} for k in range(depth)} for n in range(2)}
    return {
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "manager": manager,
        "operation": "Update",
        "time": "2026-11-20T02:11:09Z",
        "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": fields},
    }


def container(n, image):
    return {
        "name": f"container-{n}",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": [f"--flag-{k}=value-{k}" for k in range(4)],
        "env": [
            {"name": f"SETTING_{k}", "value": f"a value of some length, number {k}"}
            for k in range(4)
        ]
        + [
            {
                "name": "POD_NAME",
                "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.name"}},
            }
        ],
        "livenessProbe": {
            "failureThreshold": 3,
            "httpGet": {"path": "/healthz", "port": 8080, "scheme": "HTTP"},
            "periodSeconds": 10,
            "successThreshold": 1,
            "timeoutSeconds": 1,
        },
        "resources": {
            "limits": {"cpu": "500m", "memory": "512Mi"},
            "requests": {"cpu": "100m", "memory": "128Mi"},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {
                "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
                "name": "kube-api-access",
                "readOnly": True,
            }
        ],
    }


def one_pod(n, images):
    hash_ = f"{n % 977:06x}7d9c"
    name = f"workload-{n // 3}-{hash_}-x{n:04x}"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "annotations": {
                "kubectl.kubernetes.io/restartedAt": "2026-11-20T02:11:09Z",
                "checksum/config": f"{n:064x}",
            },
            "creationTimestamp": "2026-11-20T02:11:09Z",
            "generateName": f"workload-{n // 3}-{hash_}-",
            "labels": {"app.kubernetes.io/name": f"workload-{n // 3}", "pod-template-hash": hash_},
            "managedFields": [
                managed_fields("kube-controller-manager", 3),
                managed_fields("kubelet", 2),
            ],
            "name": name,
            "namespace": NAMESPACES[n % len(NAMESPACES)],
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "blockOwnerDeletion": True,
                    "controller": True,
                    "kind": "ReplicaSet",
                    "name": f"workload-{n // 3}-{hash_}",
                    "uid": f"0b3c7a52-0000-4000-8000-{n:012}",
                }
            ],
            "resourceVersion": str(1000000 + n),
            "uid": f"705ab4f5-0000-4000-8000-{n:012}",
        },
        "spec": {
            "containers": [container(k, image) for k, image in enumerate(images)],
            "dnsPolicy": "ClusterFirst",
            "nodeName": f"node-{n % 40}",
            "priority": 0,
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "volumes": [
                {
                    "name": "kube-api-access",
                    "projected": {
                        "defaultMode": 420,
                        "sources": [
                            {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
                        ],
                    },
                }
            ],
        },
        "status": {
            "phase": "Running",
            "podIP": f"10.0.{n // 256}.{n % 256}",
            "containerStatuses": [
                {
                    "name": f"container-{k}",
                    "image": image,
                    "imageID": f"{image}@sha256:{n:064x}",
                    "ready": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": "2026-11-20T02:11:09Z"}},
                }
                for k, image in enumerate(images)
            ],
        },
    }


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """The file, and how many images it has."""
    random.seed(7)
    path = tmp_path_factory.mktemp("cluster") / "pods.json"
    count = 0
    with path.open("w") as file:
        file.write('{\n    "apiVersion": "v1",\n    "items": [\n')
        indented = {}
        for n in range(PODS):
            images = [random.choice(IMAGES) for _ in range(1 + (n % 5 == 0))]
            count += len(images)
            key = tuple(images)
            if (
                key not in indented
            ):  # json with indent is slow in Python: once for each form, then the numbers change
                indented[key] = json.dumps(one_pod(4321, images), indent=4).replace(
                    "\n", "\n        "
                )
            text = (
                indented[key]
                .replace("4321", f"{n:04}")
                .replace("{n}", str(n % 50))
                .replace('"workload-1440', f'"workload-{n // 3}')
            )
            text = text.replace(
                f'"namespace": "{NAMESPACES[4321 % 10]}"', f'"namespace": "{NAMESPACES[n % 10]}"'
            )
            file.write("        " + text + (",\n" if n < PODS - 1 else "\n"))
        file.write(
            '    ],\n    "kind": "List",\n    "metadata": {\n'
            '        "resourceVersion": ""\n    }\n}\n'
        )
    assert 36e6 < path.stat().st_size < 48e6, path.stat().st_size
    return path, count


def check_limits(result):
    # one thread, so that the CPU's time is the time on an idle machine, and the load of this one
    # does not matter
    print(f"{result.cpu:.2f} s of CPU, {result.wall:.2f} s, {result.memory:.0f} MiB")
    assert result.cpu < LIMIT_SECONDS and result.memory < LIMIT_MIB, result.cpu


@pytest.mark.parametrize("output", ["json", "table", "patch"])
def test_a_large_cluster(program, cluster, output):
    path, count = cluster
    result = program.measure("plan", "--policies", OURS, "-f", path, "-o", output)
    check_limits(result)
    if output == "json":
        plan = check_plan(result.json())
        assert plan["summary"]["images"] == count and not plan["errors"]
        assert {
            "rewritten",
            "protected",
            "no-policy",
            "excluded",
            "registry-not-proxied",
            "not-in-rollout",
        } <= plan["summary"]["reasons"].keys()
        with path.open() as file:
            lines = file.read().split("\n")
        for image in plan["images"][::1000]:
            line = int(image["document"].rpartition(":")[2])
            assert lines[line - 1] == "        {" and f'"name": "{image["name"]}"' in "\n".join(
                lines[line : line + 200]
            )


def test_a_large_cluster_through_a_pipe(program, cluster):
    path, count = cluster
    with path.open("rb") as file:
        result = program.measure("plan", "--policies", OURS, stdin=file)
    check_limits(result)
    assert f"{count} images: " in result.out and result.err == "", "progress is for terminals"

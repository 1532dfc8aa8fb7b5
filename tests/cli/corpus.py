"""Writes manifests as the charts and operators of a real cluster have them: which kinds, images and
shapes occur. The same every time."""

import random

DIGEST = "sha256:{:064x}"
# kind, name, images of containers, images of init containers
WORKLOADS = [
    ("Deployment", "grafana",
     ["docker.io/grafana/grafana:11.1.0", "quay.io/kiwigrid/k8s-sidecar:1.27.4"],
     ["docker.io/curlimages/curl:8.9.1"]),
    ("StatefulSet", "loki", ["docker.io/grafana/loki:3.3.0", "kiwigrid/k8s-sidecar:1.24.3"], []),
    ("DaemonSet", "promtail", ["grafana/promtail:3.3.0"], []),
    ("StatefulSet", "prometheus-kube-prometheus",
     ["quay.io/prometheus/prometheus:v3.0.1",
     "quay.io/prometheus-operator/prometheus-config-reloader:v0.78.2"],
     ["quay.io/prometheus-operator/prometheus-config-reloader:v0.78.2"]),
    ("DaemonSet", "node-exporter", ["quay.io/prometheus/node-exporter:v1.8.2"], []),
    ("Deployment", "kube-state-metrics",
     ["registry.k8s.io/kube-state-metrics/kube-state-metrics:v2.14.0"], []),
    ("Deployment", "cert-manager", ["quay.io/jetstack/cert-manager-controller:v1.16.2"], []),
    ("Deployment", "ingress-nginx-controller",
     ["registry.k8s.io/ingress-nginx/controller:v1.11.3@" + DIGEST.format(0xd56f135b)], []),
    ("Job", "ingress-nginx-admission-create",
     ["registry.k8s.io/ingress-nginx/kube-webhook-certgen:v1.4.4@" + DIGEST.format(0xa9f03b34)],
     []),
    ("StatefulSet", "gitea",
     ["docker.gitea.com/gitea:1.22.4-rootless"], ["gitea/gitea:1.22.4-rootless"]),
    ("StatefulSet", "postgresql",
     ["docker.io/bitnami/postgresql:16.4.0-debian-12-r14",
     "docker.io/bitnami/postgres-exporter:0.15.0-debian-12-r43"],
     ["docker.io/bitnami/os-shell:12-debian-12-r30"]),
    ("StatefulSet", "redis-master", ["docker.io/bitnami/redis:7.4.1-debian-12-r2"], []),
    ("Deployment", "authentik-server", ["ghcr.io/goauthentik/server:2024.10.5"], []),
    ("StatefulSet", "vault", ["hashicorp/vault:1.18"], []),
    ("Deployment", "vault-agent-injector", ["hashicorp/vault-k8s:1.5.0"], []),
    ("Deployment", "external-dns", ["registry.k8s.io/external-dns/external-dns:v0.15.0"], []),
    ("Deployment", "metrics-server", ["registry.k8s.io/metrics-server/metrics-server:v0.7.2"], []),
    ("Deployment", "argocd-server",
     ["quay.io/argoproj/argocd:v2.13.1"], ["quay.io/argoproj/argocd:v2.13.1"]),
    ("StatefulSet", "argocd-application-controller", ["quay.io/argoproj/argocd:v2.13.1"], []),
    ("Deployment", "argocd-redis", ["public.ecr.aws/docker/library/redis:7.4.1-alpine"], []),
    ("Deployment", "source-controller", ["ghcr.io/fluxcd/source-controller:v1.4.1"], []),
    ("DaemonSet", "cilium",
     ["quay.io/cilium/cilium:v1.16.4@" + DIGEST.format(0xd55ec38c)],
     ["quay.io/cilium/cilium:v1.16.4@" + DIGEST.format(0xd55ec38c)] * 3),
    ("Deployment", "coredns", ["registry.k8s.io/coredns/coredns:v1.12.0"], []),
    ("DaemonSet", "kube-proxy", ["registry.k8s.io/kube-proxy:v1.36.3"], []),
    ("Deployment", "istiod", ["docker.io/istio/pilot:1.24.1"], []),
    ("Deployment", "bookinfo-reviews",
     ["docker.io/istio/examples-bookinfo-reviews-v1:1.20.2", "auto"], []),
    ("Deployment", "istio-ingressgateway", ["auto"], []),
    ("Deployment", "knative-activator",
     ["gcr.io/knative-releases/knative.dev/serving/cmd/activator@" + DIGEST.format(0x6b98eed9)],
     []),
    ("Deployment", "tekton-controller",
     ["gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/controller:v0.65.1@"
      + DIGEST.format(0x4ef6d2f5)],
     []),
    ("StatefulSet", "synapse", ["ghcr.io/element-hq/synapse:v1.120.0"], []),
    ("Deployment", "element-web", ["vectorim/element-web:v1.11.85"], []),
    ("Deployment", "nextcloud", ["nextcloud:30.0.2-apache", "nginx:alpine"], []),
    ("CronJob", "nextcloud-cron", ["nextcloud:30.0.2-apache"], []),
    ("Deployment", "wordpress", ["wordpress:6.7-php8.2-apache"], ["busybox"]),
    ("StatefulSet", "mariadb", ["mariadb:11.6"], []),
    ("StatefulSet", "mysql", ["mysql:8.4", "prom/mysqld-exporter:v0.16.0"], []),
    ("StatefulSet", "kafka", ["apache/kafka:3.9.0"], []),
    ("StatefulSet", "rabbitmq", ["rabbitmq:4.0-management"], []),
    ("StatefulSet", "elasticsearch-master",
     ["docker.elastic.co/elasticsearch/elasticsearch:8.16.1"],
     ["docker.elastic.co/elasticsearch/elasticsearch:8.16.1"]),
    ("Deployment", "kibana", ["docker.elastic.co/kibana/kibana:8.16.1"], []),
    ("DaemonSet", "fluent-bit", ["cr.fluentbit.io/fluent/fluent-bit:3.2.1"], []),
    ("Deployment", "minio", ["quay.io/minio/minio:RELEASE.2024-11-07T00-52-20Z"], []),
    ("CronJob", "backup", ["restic/restic:0.17.3"], []),
    ("CronJob", "etcd-defrag", ["quay.io/coreos/etcd:v3.5.17"], []),
    ("Job", "migrate-20241124", ["ghcr.io/org/api:main-8f3c2d1"], ["ghcr.io/org/wait-for:2"]),
    ("Deployment", "internal-api",
     ["registry.corp.example:5000/team/api:1.4.2", "registry.corp.example/team/sidecar:1"], []),
    ("Deployment", "internal-web",
     ["registry.corp.example:5000/team/web@" + DIGEST.format(0xabc)], ["localhost:5000/x/y:1"]),
    ("Deployment", "local-build", ["localhost/app:dev", "app"], []),
    ("Deployment", "moved-already",
     ["harbor.example.com:8443/hub/library/nginx:1.27", "harbor.example.com/other/app:1"], []),
    ("Deployment", "mirror-names",
     ["registry-1.docker.io/library/nginx:1", "index.docker.io/library/nginx:1",
     "docker.io/nginx"], []),
    ("Deployment", "kyverno-admission",
     ["reg.kyverno.io/kyverno/kyverno:v1.13.1"], ["ghcr.io/kyverno/kyvernopre:v1.13.1"]),
    ("DaemonSet", "nvidia-device-plugin", ["nvcr.io/nvidia/k8s-device-plugin:v0.17.0"], []),
    ("Deployment", "azure-disk-controller",
     ["mcr.microsoft.com/oss/kubernetes-csi/azuredisk-csi:v1.30.5"], []),
    ("Deployment", "debug-tools",
     ["ghcr.io/org/debug/tools:1", "busybox:1.36", "docker.io/library/busybox"], []),
    ("Deployment", "release-candidate", ["grafana/agent:v1-rc.2", "quay.io/org/app:2.0-rc1"], []),
    ("Deployment", "typing-errors",
     ["nginx:", "Nginx", "nginx:1.27 ", "ghcr.io//app", "docker.io", ":1", "a@sha256:12",
     "quay.io/Org/app"], []),
    ("Deployment", "long-tag",
     ["ghcr.io/org/app:" + "x" * 128, "ghcr.io/org/app:" + "x" * 129, "ghcr.io/" + "a/" * 120 +
     "b:1"], []),
    ("Deployment", "both",
     ["ghcr.io/org/app:1@" + DIGEST.format(1), "ghcr.io/org/app@sha512:" + "ab" * 64], []),
    ("ReplicationController", "legacy",
     ["registry.k8s.io/redis:e2e", "gcr.io/google-samples/gb-frontend:v5"], []),
    ("Rollout", "canary", ["ghcr.io/org/canary:1.2.3"], []),
    ("CloneSet", "clones", ["openkruise/guestbook:v1"], []),
    ("Pod", "kaniko", ["gcr.io/kaniko-project/executor:v1.23.2", "alpine/git:2.45.2"], []),
    ("PodTemplate", "template", ["python:3.12-slim"], []),
    ("ReplicaSet", "orphan", ["traefik:v3.2"], []),
]
NAMESPACES = [
    "loki",
    "monitoring",
    "grafana-test",
    "apps",
    "gitea",
    "matrix",
    "vault",
    "team-red",
    "team-blue",
    "kube-system",
    "storage-a",
    "nobody",
    "batch",
    "default",
]
VERSIONS = {
    "Pod": "v1",
    "PodTemplate": "v1",
    "ReplicationController": "v1",
    "Job": "batch/v1",
    "CronJob": "batch/v1",
    "Rollout": "argoproj.io/v1alpha1",
    "CloneSet": "apps.kruise.io/v1alpha1",
}
WITHOUT_BUCKET = ("PodTemplate",)  # it makes no Pods by itself
TEMPLATES = ["Rollout.argoproj.io=/spec/template", "CloneSet.apps.kruise.io=/spec/template"]


def template_of(rng, name, images, init):
    """A Pod template; some have what else matters to a decision."""
    spec = {
        "containers": [
            {"name": f"{name}-{n}"[-63:].strip("-"), "image": i} for n, i in enumerate(images)
        ],
        "serviceAccountName": name,
        "securityContext": {"runAsNonRoot": True},
    }
    if init:
        spec["initContainers"] = [{"name": f"init-{n}", "image": i} for n, i in enumerate(init)]
    metadata = {
        "labels": {"app.kubernetes.io/name": name},
        "annotations": {"checksum/config": f"{rng.getrandbits(64):016x}"},
    }
    for chance, change in (
        (12, lambda: metadata["annotations"].update({"harbor-pilot.io/mode": "disabled"})),
        (20, lambda: metadata["annotations"].update({"kubernetes.io/config.mirror": "abc"})),
        (
            6,
            lambda: spec["containers"][0].update(
                imagePullPolicy=rng.choice(["Never", "Always", "IfNotPresent"])
            ),
        ),
        (
            6,
            lambda: spec.update(
                imagePullSecrets=[{"name": rng.choice(["harbor-pull", "regcred"])}]
            ),
        ),
        (
            5,
            lambda: spec.update(
                volumes=[
                    {
                        "name": "data",
                        "image": {
                            "reference": rng.choice(["quay.io/org/data:1", "gcr.io/org/data:1"])
                        },
                    },
                    {"name": "tmp", "emptyDir": {}},
                ]
            ),
        ),
        (
            15,
            lambda: metadata["annotations"].update(
                {"harbor-pilot.io/original-images": '{"gone":"nginx"}'}
            ),
        ),
    ):
        if rng.randrange(chance) == 0:
            change()
    return {"metadata": metadata, "spec": spec}


def objects():
    """(manifest, the Pod that the API server would be asked about, JSON Pointer to the template)"""
    rng = random.Random(20261124)
    for round_ in range(6):
        for position, (kind, base, images, init) in enumerate(WORKLOADS):
            name = base if round_ == 0 else f"{base}-{rng.choice('abcdef')}{round_}"
            namespace = NAMESPACES[(position + round_ * 5) % len(NAMESPACES)]
            if kind in WITHOUT_BUCKET and namespace == "apps":
                namespace = "batch"
            template = template_of(rng, name, images, init)
            hash_ = f"{rng.getrandbits(40):010x}"
            if kind == "ReplicaSet":
                name = f"{name}-{hash_}"
                template["metadata"]["labels"]["pod-template-hash"] = hash_
            manifest = {
                "apiVersion": VERSIONS.get(kind, "apps/v1"),
                "kind": kind,
                "metadata": {"name": name, "namespace": namespace},
            }
            pointer = {
                "Pod": "",
                "PodTemplate": "/template",
                "CronJob": "/spec/jobTemplate/spec/template",
            }.get(kind, "/spec/template")
            if kind == "Pod":
                if round_ == 5:  # templates' annotations make no mirror Pods
                    template["metadata"]["annotations"]["kubernetes.io/config.mirror"] = "abc"
                manifest["metadata"].update(template["metadata"])
                manifest["spec"] = template["spec"]
            elif kind == "PodTemplate":
                manifest["template"] = template
            elif kind == "CronJob":
                manifest["spec"] = {
                    "schedule": "0 3 * * *",
                    "jobTemplate": {"spec": {"template": template}},
                }
            else:
                manifest["spec"] = {
                    "selector": {"matchLabels": {"app.kubernetes.io/name": name}},
                    "template": template,
                }
            yield manifest, pod_of(manifest, template, hash_), pointer


def pod_of(manifest, template, hash_):
    kind, name, namespace = (
        manifest["kind"],
        manifest["metadata"]["name"],
        manifest["metadata"]["namespace"],
    )
    metadata = {
        **template["metadata"],
        "namespace": namespace,
        "labels": dict(template["metadata"]["labels"]),
    }
    owner = (manifest["apiVersion"], kind, name)
    if kind == "Deployment":
        owner = ("apps/v1", "ReplicaSet", f"{name}-{hash_}")
        metadata["labels"]["pod-template-hash"] = hash_
    elif kind == "Rollout":
        owner = ("apps/v1", "ReplicaSet", f"{name}-{hash_}")
        metadata["labels"]["rollouts-pod-template-hash"] = hash_
    elif kind == "CronJob":
        owner = ("batch/v1", "Job", f"{name}-29384610")
    if kind == "Pod":
        metadata["name"] = name
    else:
        metadata["generateName"] = owner[2] + "-"
        if kind != "PodTemplate":
            metadata["ownerReferences"] = [
                {
                    "apiVersion": owner[0],
                    "kind": owner[1],
                    "name": owner[2],
                    "uid": f"uid-of-{owner[2]}",
                    "controller": True,
                    "blockOwnerDeletion": True,
                }
            ]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}

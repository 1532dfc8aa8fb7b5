"""Random valid policies and random AdmissionReviews, the same for the same seed on every machine.

    policies = generate_policies(random.Random("7"))       # file name -> YAML text
    review = generate_review(random.Random("7/3"), policies)
    body = encode(random.Random("7/3/body"), review)        # odd but valid JSON text

The reviews are such as an API server could send, but leaning towards what is rare: every reason
should turn up often. `python3 tests/model/generate.py SEED` shows the policies of a seed and what
the model says to its reviews.
"""

import collections
import datetime
import itertools
import json
import random
import struct
import sys

import yaml

import model

SET_SIZE = 100          # reviews that share one set of policies

NAMESPACES = [
    "monitoring", "monitoring-eu", "loki", "apps", "apps-blue", "apps-green", "grafana-1",
    "grafana-22", "team-a", "team-b", "team-a-test", "x", "default", "matrix", "a" * 63,
    "kube-system", "kube-public", "harbor", "cert-manager", "longhorn-system", "flux-system",
]
NAMESPACE_GLOBS = ["*", "grafana-*", "apps-*", "team-?", "team-*", "*-test", "mon*", "monitoring*",
                   "?", "*a*", "a*", "l*i", "grafana-?", "*-b*", "default*", "x*"]
PROTECTED = ["kube-system", "kube-public", "kube-node-lease", "harbor", "cert-manager", "*-system",
             "flux-*", "loki"]

HARBOR_HOSTS = ["registry.test-cluster.agentydragon.com", "harbor.example.com:8443",
                "localhost:5005", "harbor.internal", "10.0.0.7:30002", "h.io", "[fd00::7]:5000",
                "registry." + "long-label-" * 5 + "x.example.com"]
DOMAINS = ["docker.io", "ghcr.io", "quay.io", "registry.k8s.io", "localhost:5000", "localhost",
           "QUAY.IO", "registry-1.docker.io", "gcr.io:443", "example.com", "mcr.microsoft.com",
           "[2001:db8::1]:5000"]
PROJECTS = ["docker-hub-proxy", "ghcr-proxy", "quay-proxy", "registry-k8s-proxy", "p", "proxy_1",
            "a.b", "mirror-of-everything-that-anybody-could-ever-want"]

PATHS = ["library/nginx", "library/busybox", "library/postgres", "grafana/grafana", "org/model",
         "debug/tools", "team/debug/shell", "bitnami/redis", "a/b/c/d", "kiwigrid/k8s-sidecar",
         "x__y/z---z", "pause", "kube-proxy", "0/0", "a"]
TAGS = ["latest", "16", "1.27", "v1.36.3", "11.1.0-UBUNTU", "_", "5000", "t" * 128]
EXCLUDES = ["docker.io/library/busybox", "*/debug/*", "*busybox*", "quay.io/*", "*:latest",
            "docker.io/library/nginx:1.2?", "*@sha256:*", "*/org/model@*", "ghcr.io/*/?",
            "*:5000/*", "*:16", "registry.k8s.io/pause:*", "docker.io/*/redis", "?*.io/a",
            "*/library/postgres:16@sha256:*", "QUAY.IO/*", "*:v*", "docker.io/library/nginx:1.27",
            "**/debug/**", "*.io/*/*:*", "*/?", "docker.io/library/nginx:*", "*a*b*c*d*", "busybox",
            "*:5000/*/model", "*:5000/library/*x", "gcr.io:443/*a", "localhost:5000/?/b/c/d",
            "index.docker.io/*", "*/*@sha512:*", "*@*", "docker.io/library/*:latest"]

BUILT_IN_OWNERS = [("apps/v1", "ReplicaSet"), ("apps/v1", "StatefulSet"), ("apps/v1", "DaemonSet"),
                   ("batch/v1", "Job"), ("v1", "ReplicationController")]
OTHER_OWNERS = [("tekton.dev/v1", "TaskRun"), ("postgresql.cnpg.io/v1", "Cluster"), ("v1", "Node"),
                ("apps.kruise.io/v1beta1", "StatefulSet"), ("batch.volcano.sh/v1alpha1", "Job"),
                ("v1", "ReplicaSet"), ("v1", "ReplicaSet"), ("apps/v1", "Job"),
                ("apps/v1", "replicaset"), ("v1", "Service"),
                ("extensions/v1beta1", "ReplicaSet"), ("apps/v1beta2", "Deployment")]
OWNERS_INCLUDE = ["tekton.dev/TaskRun", "core/Node", "batch.volcano.sh/Job", "core/ReplicaSet",
                  "postgresql.cnpg.io/Cluster", "apps/Deployment", "core/Service", "longhorn.io/Manager",
                  "acid.zalan.do/postgresql", "apps/StatefulSet"]

HEX = "0123456789abcdef"
NAME_CHARACTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def maybe(rng, chance):
    return rng.random() < chance


def some(rng, values, least=0, most=None):
    values = list(values)
    most = len(values) if most is None else min(most, len(values))
    return rng.sample(values, rng.randint(min(least, most), most))


def word(rng, length):
    return "".join(rng.choices(NAME_CHARACTERS, k=length))


# --- policies -------------------------------------------------------------------------------------

def globs_overlap(one, other):
    """Whether some text matches both patterns."""
    seen = set()

    def overlap(i, j):
        if (i, j) in seen:
            return False
        seen.add((i, j))
        if i == len(one) and j == len(other):
            return True
        if i < len(one) and one[i] == "*":
            return overlap(i + 1, j) or (j < len(other) and overlap(i, j + 1))
        if j < len(other) and other[j] == "*":
            return overlap(i, j + 1) or (i < len(one) and overlap(i + 1, j))
        if i == len(one) or j == len(other):
            return False
        return (one[i] == other[j] or "?" in (one[i], other[j])) and overlap(i + 1, j + 1)

    return overlap(0, 0)


def ambiguous(one, other):
    """Whether two namespace patterns of Policies of one priority would be refused."""
    if model.is_glob(one) != model.is_glob(other):
        return False            # exact goes before glob
    return globs_overlap(one, other)


def generate_harbor(rng, name, host):
    spec = {"host": host, "registries": {}}
    # docker.io nearly always: most images are from there, also those that do not say so
    for domain in some(rng, DOMAINS, 2, 7) + (["docker.io"] if maybe(rng, 0.9) else []):
        spec["registries"][domain] = rng.choice(PROJECTS)
    if maybe(rng, 0.5):
        for _ in range(rng.randint(1, 4)):
            spec["registries"][name_prefix(rng)] = rng.choice(PROJECTS)
    if maybe(rng, 0.5):
        spec["renames"] = generate_renames(rng, spec["registries"])
    if maybe(rng, 0.5):
        spec["protected"] = some(rng, PROTECTED, 1, 3)
    if maybe(rng, 0.2):
        spec["nodesHaveCredentials"] = maybe(rng, 0.5)
    if maybe(rng, 0.2):
        spec["trustedControllers"] = ["system:serviceaccount:argo:argo-rollouts"]
    return document("Harbor", name, spec)


def name_prefix(rng):
    """The beginning of an image's name, with one component of its path or more, or like one."""
    path = rng.choice(PATHS).split("/")
    path = "/".join(path[:rng.randint(1, len(path))])
    if maybe(rng, 0.1):
        path += rng.choice(["x", "-x", "/x"])
    return rng.choice(["docker.io", "docker.io", *DOMAINS]) + "/" + path


def generate_renames(rng, registries):
    """Old names -> new names, none of which is in a chain."""
    renames = {}
    for _ in range(rng.randint(1, 4)):
        old = rng.choice([name_prefix(rng), name_prefix(rng), name_prefix(rng), *DOMAINS])
        new = rng.choice([name_prefix(rng) + "legacy", *registries, *DOMAINS])
        if not any(is_within(new, end) or is_within(end, new) for end in [*renames, old]) and \
                not any(is_within(old, end) or is_within(end, old) for end in renames.values()):
            renames[old] = new
    return renames


def is_within(inner, outer):
    return (inner + "/").startswith(outer + "/")


def document(kind, name, spec):
    return {"apiVersion": "harbor-pilot.io/v1alpha1", "kind": kind,
            "metadata": {"name": name}, "spec": spec}


# labels that selectors may ask for; `other` is a value that none of them names
LABEL_VALUES = {"tier": ["web", "db", ""], "app.kubernetes.io/name": ["x", "Y.z_1"], "app": ["x"]}
LABELS = [dict((k, v) for k, v in zip(LABEL_VALUES, values) if v is not None)
          for values in itertools.product(*([None, "other", *v] for v in LABEL_VALUES.values()))]


def generate_selector(rng):
    selector = {}
    if maybe(rng, 0.6):
        selector["matchLabels"] = {key: rng.choice(LABEL_VALUES[key])
                                   for key in some(rng, LABEL_VALUES, 1, 2)}
    if maybe(rng, 0.6):
        selector["matchExpressions"] = [generate_expression(rng) for _ in range(rng.randint(1, 3))]
    return selector


def generate_expression(rng):
    key = rng.choice(list(LABEL_VALUES))
    operator = rng.choice(["In", "NotIn", "NotIn", "Exists", "DoesNotExist"])
    expression = {"key": key, "operator": operator}
    if operator in ("In", "NotIn"):
        expression["values"] = some(rng, LABEL_VALUES[key], 1)
    return expression


def selectors_clash(one, other):
    """Whether neither of two Policies is looked at first, and a Pod can match both: all are tried."""
    if model.has_selector(one) != model.has_selector(other):
        return False
    return any(model.selector_matches(one, labels) and model.selector_matches(other, labels)
               for labels in LABELS)


def generate_policy(rng, name, namespaces, priority, harbor, only_one, selector=None):
    registries = harbor["spec"]["registries"]
    spec = {"namespaces": namespaces}
    if selector is not None:
        spec["podSelector"] = selector
    if not only_one or maybe(rng, 0.5):
        spec["harbor"] = harbor["metadata"]["name"]
    if priority or maybe(rng, 0.3):
        spec["priority"] = priority
    if maybe(rng, 0.4):
        spec["mode"] = rng.choice(["disabled", "audit", "enforce", "enforce"])
    if maybe(rng, 0.3):
        spec["rollout"] = rng.choice([0, 1, 25, 50, 75, 99, 100])
    if maybe(rng, 0.35):
        spec["registries"] = some(rng, registries, 1)
    if maybe(rng, 0.6):
        spec["exclude"] = some(rng, EXCLUDES, 1, 5)
    if maybe(rng, 0.5):
        spec["owners"] = {"include": some(rng, OWNERS_INCLUDE, 2, 5)}
    if maybe(rng, 0.15):
        spec["requireInHarbor"] = "never"
    if maybe(rng, 0.5):
        spec["pullSecret"] = rng.choice(["harbor-pull", "harbor.pull.secret", "default-pull"])
    if maybe(rng, 0.4):
        spec["pullPolicy"] = rng.choice(["IfNotPresent", "Always"])
    items = list(spec.items())
    rng.shuffle(items)
    return document("Policy", name, dict(items))


def generate_policies(rng):
    """File name -> YAML text. One or more Harbors; Policies whose overlaps are legal."""
    hosts = some(rng, HARBOR_HOSTS, 3, 3)[:rng.choice([1, 1, 2, 3])]
    harbors = [generate_harbor(rng, ["default", "second", "third"][i], host)
               for i, host in enumerate(hosts)]
    claimed = []                # (priority, namespace pattern, Policy, its selector)
    policies = []
    for number in range(rng.randint(2, 8)):
        priority = rng.choice([0, 0, 0, 10, 10, 100, -5])
        namespaces, selector = [], generate_selector(rng) if maybe(rng, 0.5) else None
        for pattern in some(rng, NAMESPACES + NAMESPACE_GLOBS, 1, 4):
            if not any(priority == p and number != n and ambiguous(pattern, other)
                       and selectors_clash(selector, s) for p, other, n, s in claimed):
                namespaces.append(pattern)
                claimed.append((priority, pattern, number, selector))
        if namespaces:
            policies.append(generate_policy(rng, f"wave-{number}", namespaces, priority,
                                            rng.choice(harbors), len(harbors) == 1, selector))

    if maybe(rng, 0.1):
        policies.append(generate_large_policy(rng, harbors, claimed))

    documents = harbors + policies
    rng.shuffle(documents)
    files = collections.defaultdict(list)
    names = ["10-first.yaml", "20-second.yaml", "z.yaml"][:rng.randint(1, 3)]
    for d in documents:
        files[rng.choice(names)].append(d)
    return {name: to_yaml(rng, documents) for name, documents in sorted(files.items())}


def generate_large_policy(rng, harbors, claimed):
    """Names and patterns by the hundred: the program compiles them into tables."""
    namespaces = [f"ns-{i * i}" for i in range(rng.randint(100, 400))]
    namespaces = [n for n in namespaces if not any(p == 1 and ambiguous(n, other)
                                                   for p, other, _, _ in claimed)]
    policy = generate_policy(rng, "large", namespaces, 1, rng.choice(harbors), len(harbors) == 1)
    policy["spec"]["exclude"] = [f"*/x{i}/*" for i in range(300)] + some(rng, EXCLUDES, 1, 3)
    return policy


def to_yaml(rng, documents):
    parts = []
    for d in documents:
        parts.append(yaml.safe_dump(d, default_flow_style=rng.choice([True, False, None]),
                                    sort_keys=maybe(rng, 0.5), width=rng.choice([40, 10000])))
    text = ("# a comment\n---\n" if maybe(rng, 0.5) else "---\n").join(parts)
    return "---\n" + text if maybe(rng, 0.5) else text


# --- images ---------------------------------------------------------------------------------------

def digest(rng):
    algorithm, length = rng.choice([("sha256", 64)] * 6 + [("sha384", 96), ("sha512", 128)])
    return f"{algorithm}:{''.join(rng.choices(HEX, k=length))}"


def suffix(rng):
    kind = rng.random()
    if kind < 0.15:
        return ""
    if kind < 0.7:
        return ":" + rng.choice(TAGS)
    if kind < 0.85:
        return "@" + digest(rng)
    return ":" + rng.choice(TAGS) + "@" + digest(rng)


def plain_image(rng, harbor):
    """A usual reference, mostly of a registry that the Harbor proxies."""
    known = rng.choice((list(harbor.registries) * 2 + list(harbor.renames)) * 4 + DOMAINS
                       + ["nowhere.example"])
    domain, _, part = known.partition("/")
    path = rng.choice(PATHS)
    if part and maybe(rng, 0.7):
        path = part + rng.choice(["", "/", "/", "-"]) + path
    if domain == "docker.io":
        written = rng.choice(["", "", "", "docker.io/", "index.docker.io/"])
        path = path.removeprefix("library/") if maybe(rng, 0.6) else path
    else:
        written = domain + "/"
    return written + path + suffix(rng)


def odd_reference(rng, harbor):
    """Valid or not, but near the edges of the grammar."""
    hexadecimal = "".join(rng.choices(HEX, k=64))
    path = rng.choice(PATHS)
    return rng.choice([
        lambda: f"[2001:db8::1]/{path}", lambda: f"[fd00::1]:5000/{path}:v1",
        lambda: f"[fe80::1%eth0]:5000/{path}", lambda: "[2001:db8::1]:5000", lambda: "[::1]/a",
        lambda: hexadecimal, lambda: "docker.io/" + hexadecimal, lambda: hexadecimal[:63],
        lambda: hexadecimal + ":latest", lambda: "library/" + hexadecimal,
        lambda: "DOCKER.IO/" + path, lambda: "Docker.io/library/nginx", lambda: "LOCALHOST/" + path,
        lambda: "Nginx", lambda: "docker.io/Library/nginx", lambda: "nginx:" + "t" * 129,
        lambda: "example.com:5000", lambda: "example.com", lambda: "localhost", lambda: "a:b/c",
        lambda: "example.com:5000/", lambda: "/nginx", lambda: "docker.io//nginx",
        lambda: "sha256:" + "a" * 64, lambda: "sha256:" + "A" * 64, lambda: "sha256:" + "a" * 63,
        lambda: "sha256:" + "a" * 65, lambda: "a" * 64 + ":1", lambda: "sha512:" + "a" * 64,
        lambda: "nginx:", lambda: "nginx@", lambda: "nginx:1@", lambda: "nginx@sha256:" + "A" * 64,
        lambda: "nginx@sha256:" + "a" * 63, lambda: "nginx@sha256:" + "a" * 65,
        lambda: "nginx@sha512:" + "a" * 64, lambda: "nginx@md5:" + "a" * 32,
        lambda: "nginx@SHA256:" + "a" * 64, lambda: "nginx@sha256:" + "a" * 64 + ":1",
        lambda: "nginx@sha1:" + "a" * 40, lambda: "nginx@sha256+b64:" + "a" * 64,
        lambda: "a_b/c", lambda: "a___b/c", lambda: "a..b/c", lambda: "a-/c", lambda: "-a/c",
        lambda: "under_score.io/" + path, lambda: "under_score:80/" + path,
        lambda: "foo-.io/" + path, lambda: "-foo.io/" + path, lambda: "foo..io/" + path,
        lambda: "docker.io:443/" + path, lambda: "docker.io./" + path, lambda: "docker.io:/" + path,
        lambda: "user@docker.io/" + path, lambda: "https://docker.io/" + path,
        lambda: "nginx\0", lambda: "nginx\0:1", lambda: "\0nginx", lambda: "auto\0",
        lambda: harbor.host + "\0/x", lambda: harbor.host + "/x\0", lambda: "docker.io\0/x",
        lambda: " nginx", lambda: "nginx ", lambda: "nginx\n", lambda: "nginx\t", lambda: "ngïnx",
        lambda: "docker.io/library/ngınx", lambda: "\u212a8s.io/x", lambda: "nginx:१",
        lambda: harbor.host + ".evil.example/" + path, lambda: harbor.host + path,
        lambda: harbor.host.upper() + "/" + path, lambda: harbor.host, lambda: harbor.host + "/",
        lambda: harbor.host.partition(":")[0] + "/" + path,
        lambda: harbor.host.partition(":")[0] + ":1/" + path,
        lambda: "auto/auto", lambda: "auto:latest", lambda: "Auto", lambda: "scratch",
        lambda: "docker.io/index.docker.io/x", lambda: "index.docker.io/nginx",
        lambda: "index.docker.io:443/nginx", lambda: "registry-1.docker.io/library/nginx",
        lambda: "docker.io/docker.io/nginx", lambda: "docker.io", lambda: "index.docker.io",
    ])()


def long_image(rng, harbor):
    """Domain and path near 255, for the reference itself or for what it would become."""
    domain = rng.choice([d for d in harbor.registries if "docker.io" not in d] or ["docker.io"])
    project = harbor.registries.get(domain, "")
    beginning = domain.partition("/")[2]
    name_length = 255 + rng.choice([-1, 0, 1])
    if maybe(rng, 0.7):         # the result, not the reference
        name_length += len(domain) - len(f"{harbor.host}/{project}/{beginning}".rstrip("/"))
    path = word(rng, max(1, name_length - len(domain) - 1))
    for i in range(rng.randint(20, 60), len(path) - 1, rng.randint(20, 90)):
        path = path[:i] + "/" + path[i + 1:]
    return f"{domain}/{path}" + suffix(rng)


def damaged(rng, text):
    i = rng.randrange(len(text) + 1)
    what = rng.choice(["insert", "delete", "replace"])
    character = rng.choice(":/@._-A[] \u00e9%0a")
    rest = text[i:] if what == "insert" else text[i + 1:]
    return text[:i] + ("" if what == "delete" else character) + rest


def harbor_image(rng, harbor):
    project = rng.choice(list(harbor.registries.values()) + ["own-project"])
    return f"{harbor.host}/{project}/{rng.choice(PATHS)}{suffix(rng)}"


def generate_image(rng, harbor, harbors):
    kind = rng.random()
    if kind < 0.60:
        return plain_image(rng, harbor)
    if kind < 0.70:
        return harbor_image(rng, harbor)
    if kind < 0.73:
        return harbor_image(rng, rng.choice(harbors))
    if kind < 0.76:
        return "auto" if maybe(rng, 0.6) else rng.choice(["", "sha256:"]) + rng.choice(HEX) * 64
    if kind < 0.86:
        return odd_reference(rng, harbor)
    if kind < 0.92:
        return long_image(rng, harbor)
    return damaged(rng, plain_image(rng, harbor)) or "a"


# --- Pods -----------------------------------------------------------------------------------------

def object_name(rng, most):
    length = rng.choice([1, 3, 6, 12, 47, 48, 49, 60, most])
    return ("a" + word(rng, length - 1))[:most]


def unique_names(rng, count):
    """Container or volume names; long ones that begin alike are among them."""
    names = set()
    stem = "a" + word(rng, 44)
    while len(names) < count:
        names.add(stem + word(rng, rng.randint(1, 18)) if maybe(rng, 0.1)
                  else object_name(rng, 63))
    return rng.sample(sorted(names), count)


def generate_container(rng, name, harbor, harbors):
    container = {"name": name, "resources": {}}
    if not maybe(rng, 0.03):
        container["image"] = "" if maybe(rng, 0.01) else generate_image(rng, harbor, harbors)
    if not maybe(rng, 0.15):
        container["imagePullPolicy"] = rng.choice(
            ["IfNotPresent"] * 10 + ["Always"] * 8 + ["Never"] * 2 + ["Never\0", "never"])
    if maybe(rng, 0.3):
        container["env"] = [{"name": "image", "value": "nginx"}]
    if maybe(rng, 0.2):
        container["command"] = ["sh", "-c", "echo \"\\\u0001 \U0001f433\" é"]
    if maybe(rng, 0.1):
        container["aFieldOfTomorrow"] = {
            "image": "nginx", "n": [1, -0.0, 1e300, 10 ** 30, None, True],
            "deep": json.loads("[" * 60 + "{}" + "]" * 60)}
    items = list(container.items())
    rng.shuffle(items)
    return dict(items)


def generate_volume(rng, name, harbor, harbors):
    kind = rng.random()
    if kind < 0.6:
        source = {"reference": generate_image(rng, harbor, harbors)}
        if not maybe(rng, 0.2):
            source["pullPolicy"] = rng.choice(["IfNotPresent", "IfNotPresent", "Always", "Never"])
        if maybe(rng, 0.05):
            source["reference"] = ""
        if maybe(rng, 0.05):
            del source["reference"]
        return {"name": name, "image": source}
    if kind < 0.75:
        return {"name": name, "rbd": {"image": "nginx", "monitors": ["1.2.3.4"], "pool": "rbd"}}
    return {"name": name, "emptyDir": {}}


OPERATORS_LABELS = [
    {"vcluster.loft.sh/managed-by": "vc"}, {"vcluster.loft.sh/managed-by": ""},
    {"application": "spilo"}, {"application": "spilo2"},
    {"app": "aerospike-cluster"}, {"app": "aerospike-cluster", "aerospike.com/cr": "a"},
    {"app.kubernetes.io/managed-by": "redpanda-operator"},
    {"app.kubernetes.io/managed-by": "redpanda-operator", "app.kubernetes.io/name": "redpanda"},
    {"app.kubernetes.io/managed-by": "cockroach-operator"},
]


def generate_owners(rng, hash_label):
    """(ownerReferences, nearly always of one controller or none)."""
    kind = rng.random()
    if kind < 0.15:
        return None
    if kind < 0.2:
        return []
    api_version, owner_kind = rng.choice(BUILT_IN_OWNERS if kind < 0.87 else OTHER_OWNERS)
    name = rng.choice(["grafana", "web", "backup", "db", "a", "node-1", "grafana-x", "db-x",
                       "longhorn-manager"])
    if "ReplicaSet" in owner_kind or maybe(rng, 0.1):
        name += rng.choice(["-" + (hash_label or "5d4f"), "-5d4f", "", "-7488ccf7cb", "5d4f"])
    elif "Job" in owner_kind or maybe(rng, 0.1):
        name += rng.choice(["-29381230", "-2938123", "-293812301234", "", "-12-29381230",
                            "-29381230x", "29381230", "-a29381230"])
    owner = {"apiVersion": api_version, "kind": owner_kind, "name": name, "uid": word(rng, 8),
             "controller": True, "blockOwnerDeletion": True}
    owners = [owner]
    if maybe(rng, 0.1):
        owners.insert(rng.randint(0, 1), {"apiVersion": "v1", "kind": "ConfigMap", "name": "x",
                                          "uid": word(rng, 8)})
    if maybe(rng, 0.02):
        owner["kind"] += "\0"
    if maybe(rng, 0.08):
        owner["controller"] = rng.choice([False, None])
    elif maybe(rng, 0.05):
        del owner["controller"]
    return owners


def generate_annotations(rng, pod, harbor):
    """None stands for an absent field; the caller may write null instead."""
    annotations = {}
    if maybe(rng, 0.02):
        annotations[model.MODE_ANNOTATION + "\0"] = "disabled"
    if maybe(rng, 0.3):
        annotations["note"] = "quotes \" and \\ and / ü 日本 \u0001 \U0001f433"
    if maybe(rng, 0.04):
        annotations[model.MIRROR_ANNOTATION] = rng.choice(["abc", ""])
    if maybe(rng, 0.1):
        annotations[model.MODE_ANNOTATION] = rng.choice(
            ["disabled", "disabled", "disabled", "enforce", "audit", "Disabled", "", "disabled ",
             "disabled\0"])
    if maybe(rng, 0.3):
        annotations[model.ORIGINALS_ANNOTATION] = forged_originals(rng, pod, harbor)
    if not annotations and maybe(rng, 0.7):
        return None
    return annotations


def forged_originals(rng, pod, harbor):
    """What a former call, another tool or a user may have left there."""
    if maybe(rng, 0.2):
        return rng.choice(["", "{}", "[]", "null", "nginx", "{\"a\":1}", "{\"a\":\"nginx\"", "{",
                           "\"x\"", "{\"a\":{\"b\":\"c\"}}", "{\"a\":null}", "[\"nginx\"]",
                           "{} x", "{\"a\":\"b\",}"])
    entries = {}
    images = model.container_images(pod, ["initContainers", "containers", "ephemeralContainers"])
    for image in images + model.volume_images(pod):
        key = image.original_key
        kind = rng.random()
        if kind < 0.35:
            # an honest entry: the present image is what this one becomes
            original = plain_image(rng, harbor)
            mapped = model.mechanical_mapping(harbor, model.parse_reference(original))
            if mapped and maybe(rng, 0.8):
                pinned = "@sha256:" + rng.choice(HEX) * 64
                image.holder[image.key] = str(mapped) + (pinned if maybe(rng, 0.2) else "")
            entries[key] = original
        elif kind < 0.5:
            entries[key] = generate_image(rng, harbor, [harbor])
        elif kind < 0.55:
            entries[key] = image.text
    if maybe(rng, 0.3):
        entries[rng.choice(["gone", "volume/gone", "volume/", ""])] = plain_image(rng, harbor)
    if maybe(rng, 0.1):
        entries[rng.choice(["gone", *entries])] = rng.choice([1, None, True, {}, ["nginx"]])
    if maybe(rng, 0.3):
        return Encoder(rng, decoys=["\"nginx\""]).encode(entries)
    separators = rng.choice([(",", ":"), (", ", ": ")])
    return json.dumps(entries, separators=separators, indent=rng.choice([None, None, 1]))


def generate_pod(rng, namespace, harbor, harbors, ephemeral):
    hash_label = rng.choice([None, "5d4f", "7488ccf7cb", ""])
    metadata = {} if maybe(rng, 0.03) else {"namespace": namespace}
    if maybe(rng, 0.5) or ephemeral:
        metadata["name"] = rng.choice(["web-0", "bare", "x", "grafana-5d4f-abcde"])
    if maybe(rng, 0.5) or "name" not in metadata:
        metadata["generateName"] = rng.choice(["grafana-5d4f-", "job-", "x-"])
    if hash_label is not None:
        which = "pod-template-hash" if maybe(rng, 0.8) else "rollouts-pod-template-hash"
        metadata["labels"] = {which: hash_label}
    elif maybe(rng, 0.3):
        metadata["labels"] = None
    if maybe(rng, 0.1):
        metadata["labels"] = {**(metadata.get("labels") or {}), **rng.choice(OPERATORS_LABELS)}
    if maybe(rng, 0.7):
        metadata["labels"] = {**rng.choice(LABELS), **(metadata.get("labels") or {})}
    owners = generate_owners(rng, hash_label)
    if owners is not None or maybe(rng, 0.3):
        metadata["ownerReferences"] = owners

    counts = [rng.choice([0, 0, 1, 2]), rng.choice([1, 1, 1, 2, 3, 8]),
              rng.randint(1, 3) if ephemeral else 0]
    if maybe(rng, 0.01):
        counts[1] = 64
    names = unique_names(rng, sum(counts))
    spec = {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}
    for list_name, count in zip(["initContainers", "containers", "ephemeralContainers"], counts):
        containers = [generate_container(rng, names.pop(), harbor, harbors) for _ in range(count)]
        if containers:
            spec[list_name] = containers
        elif maybe(rng, 0.1):
            spec[list_name] = rng.choice([None, []])
    if maybe(rng, 0.35):
        spec["volumes"] = [generate_volume(rng, name, harbor, harbors)
                           for name in unique_names(rng, rng.randint(1, 3))]
    elif maybe(rng, 0.2):
        spec["volumes"] = None
    if maybe(rng, 0.5):
        spec["imagePullSecrets"] = rng.choice([
            None, [], [{"name": "harbor-pull"}], [{"name": "mine"}], [{}],
            [{"name": "mine"}, {"name": "harbor.pull.secret"}, {"name": "harbor-pull"}],
            [{"name": ""}], [{"name": "default-pull"}], [{"name": "Harbor-Pull"}],
            [{"name": "harbor-pull\0"}, {"name": "harbor.pull.secret\0"}]])
    pod = {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec,
           "status": rng.choice([{}, {"phase": "Pending", "containerStatuses": [
               {"name": "x", "image": "nginx", "imageID": ""}]}])}
    annotations = generate_annotations(rng, pod, harbor)
    if annotations is not None or maybe(rng, 0.2):
        metadata["annotations"] = annotations
    return pod


# --- reviews --------------------------------------------------------------------------------------

POD_KIND = {"group": "", "version": "v1", "kind": "Pod"}
POD_RESOURCE = {"group": "", "version": "v1", "resource": "pods"}


def likely_namespaces(rng, policies):
    """Namespaces that a Policy claims, nine times of ten."""
    exact = [n for p in policies.policies for n in p.namespaces if not model.is_glob(n)]
    made = [n.replace("*", rng.choice(["", "b", "test"])).replace("?", "a").strip("-") or "x"
            for p in policies.policies for n in p.namespaces if model.is_glob(n)]
    return exact + made if maybe(rng, 0.9) else NAMESPACES + ["nobody-claims-this"]


def generate_review(rng, policies):
    """(path mode, AdmissionReview as an object). `policies`: a model.Policies."""
    namespace = rng.choice(likely_namespaces(rng, policies))
    policy = model.choose_policy(policies, namespace, rng.choice(LABELS))
    harbors = policies.harbors
    harbor = policy.harbor if policy else rng.choice(harbors)
    ephemeral = maybe(rng, 0.2)
    pod = generate_pod(rng, namespace, harbor, harbors, ephemeral)
    old = None
    request = {
        "uid": f"{rng.getrandbits(128):032x}", "kind": POD_KIND, "resource": POD_RESOURCE,
        "requestKind": POD_KIND, "requestResource": POD_RESOURCE, "namespace": namespace}
    if ephemeral:
        request["subResource"] = request["requestSubResource"] = "ephemeralcontainers"
        old = json.loads(json.dumps(pod))
        count = max(0, len(pod["spec"]["ephemeralContainers"]) - rng.choice([0, 1, 1, 1, 2, 3]))
        old["spec"]["ephemeralContainers"] = rng.sample(old["spec"]["ephemeralContainers"], count)
        if not count and maybe(rng, 0.7):
            del old["spec"]["ephemeralContainers"]
        elif not count and maybe(rng, 0.5):
            old["spec"]["ephemeralContainers"] = None
    request.update({
        "operation": "UPDATE" if ephemeral else "CREATE",
        "userInfo": {"username": rng.choice(["system:node:n1", "system:node:", USERS[5], USERS[5]]),
                     "groups": ["system:serviceaccounts"], "extra": {"image": ["nginx"]}},
        "object": pod, "oldObject": old, "dryRun": maybe(rng, 0.1),
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"}})
    if "name" in pod["metadata"]:
        request["name"] = pod["metadata"]["name"]
    if not ephemeral and maybe(rng, 0.08):
        make_other_request(rng, request)
    for key in rng.sample(["dryRun", "options", "requestKind", "requestResource", "userInfo"], 2):
        if maybe(rng, 0.05):
            del request[key]
    if not ephemeral and "subResource" not in request and maybe(rng, 0.1):
        request["subResource"] = request["requestSubResource"] = ""
    if request["oldObject"] is None and maybe(rng, 0.05):
        del request["oldObject"]
    path_mode = "audit" if maybe(rng, 0.2) else "enforce"
    if maybe(rng, 0.03):
        fill_annotations(rng, policies, path_mode, request)
    version = "v1beta1" if maybe(rng, 0.2) else "v1"
    return path_mode, {"kind": "AdmissionReview", "apiVersion": f"admission.k8s.io/{version}",
                       "request": request}


def make_other_request(rng, request):
    """What is none of our business though it may look like it."""
    pod = request["object"]
    kind = rng.choice(["update", "delete", "connect", "status", "binding", "deployment", "resize",
                       "other-pod"])
    if kind == "update":
        request.update(operation="UPDATE", oldObject=json.loads(json.dumps(pod)))
    elif kind == "delete":
        request.update(operation="DELETE", oldObject=pod, object=None)
    elif kind == "connect":
        request.update(operation="CONNECT", subResource="exec", requestSubResource="exec",
                       kind={"group": "", "version": "v1", "kind": "PodExecOptions"},
                       object={"kind": "PodExecOptions", "apiVersion": "v1", "container": "x"})
    elif kind in ("status", "resize"):
        request.update(operation="UPDATE", subResource=kind, requestSubResource=kind,
                       oldObject=json.loads(json.dumps(pod)))
    elif kind == "binding":
        request.update(subResource="binding", requestSubResource="binding",
                       kind={"group": "", "version": "v1", "kind": "Binding"},
                       object={"kind": "Binding", "apiVersion": "v1", "metadata": {"name": "x"},
                               "target": {"kind": "Node", "name": "n1"}})
    elif kind == "deployment":
        request.update(kind={"group": "apps", "version": "v1", "kind": "Deployment"},
                       resource={"group": "apps", "version": "v1", "resource": "deployments"},
                       object={"kind": "Deployment", "apiVersion": "apps/v1",
                               "metadata": pod["metadata"],
                               "spec": {"template": {"spec": pod["spec"]}}})
        request.update(requestKind=request["kind"], requestResource=request["resource"])
    elif kind == "other-pod":
        request.update(kind={"group": "example.com", "version": "v1", "kind": "Pod"},
                       resource={"group": "example.com", "version": "v1", "resource": "pods"})
        request.update(requestKind=request["kind"], requestResource=request["resource"])


def fill_annotations(rng, policies, path_mode, request):
    """Fills the annotations so that with ours they come to just under, at, or over the limit."""
    pod = request["object"]
    if pod is None or "metadata" not in pod:
        return
    annotations = pod["metadata"].get("annotations") or {}
    pod["metadata"]["annotations"] = annotations
    annotations["filler"] = ""
    after = model.review(policies, path_mode, request).pod["metadata"]["annotations"]
    size = sum(len(k.encode()) + len(v.encode()) for k, v in after.items())
    annotations["filler"] = "f" * (model.ANNOTATIONS_SIZE_MAX - size + rng.choice([-1, 0, 1]))


# --- the gate -------------------------------------------------------------------------------------

NOW = 1795176000        # 2026-11-20T12:00:00Z, when the facts of a seed are recorded, or near it
IDS = ["CVE-2026-1", "CVE-2026-2", "CVE-2026-10", "CVE-2019-10164", "GHSA-x", "cve-2026-1", "CVE",
       "CVE-2026-2 ", "\u00fc", "CVE-\"\\\n"]
PACKAGES = ["openssl", "zlib", "a", "", "\u65e5 \"\t\u0001"]
SEVERITY_WORDS = ["Critical", "Critical", "High", "High", "Medium", "Low", "Unknown", "None",
                  "Negligible", "critical", "HIGH", "mEdium"]
USERS = ["alice", "kubernetes-admin", "system:node:n1", "system:nodes", "system:kube-controller-manager",
         "system:serviceaccount:kube-system:replicaset-controller",
         "system:serviceaccount:kube-system:deployment-controller",
         "system:serviceaccount:kube-system:statefulset-controller",
         "system:serviceaccount:kube-system:daemon-set-controller",
         "system:serviceaccount:kube-system:job-controller",
         "system:serviceaccount:kube-system:cronjob-controller",
         "system:serviceaccount:kube-system:replication-controller",
         "system:serviceaccount:kube-system:default", "system:serviceaccount:apps:job-controller",
         "system:serviceaccount:argo:argo-rollouts", "system:kube-controller-manager2", ""]


def date_text(seconds):
    return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).date().isoformat()


def time_text(seconds):
    at = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def generate_findings_rules(rng):
    """`findings` of a Policy."""
    rules = {}
    if maybe(rng, 0.7):
        rules["severity"] = rng.choice(["Low", "Medium", "High", "Critical", "low", "HIGH"])
    for key, values, chance in [
            ("action", ["warn", "deny"], 0.5), ("enforceOn", ["workloads", "pods"], 0.6),
            ("fixableOnly", [True, False], 0.5), ("unscanned", ["allow", "warn", "deny"], 0.6),
            ("unproxied", ["allow", "warn", "deny"], 0.6),
            ("unavailable", ["allow", "warn", "deny"], 0.6),
            ("maxAge", ["168h", "1s", "24h", "1h30m", "90m", "1500ms", "2000h"], 0.5)]:
        if maybe(rng, chance):
            rules[key] = rng.choice(values)
    if maybe(rng, 0.5):
        rules["allow"] = []
        for identity in some(rng, IDS[:7], 0, 4):
            entry = {"id": identity}
            if maybe(rng, 0.6):
                entry["until"] = date_text(NOW + rng.choice([-2, -1, 0, 0, 1, 400]) * 86400)
            if maybe(rng, 0.3):
                entry["reason"] = "no network path"
            rules["allow"].append(entry)
    return rules


def generate_gate_policies(rng):
    """The same as generate_policies, with `api`, and `findings` in most of them."""
    files = {}
    for name, text in generate_policies(rng).items():
        documents = [d for d in yaml.safe_load_all(text) if d is not None]
        for d in documents:
            if d["kind"] == "Harbor":
                d["spec"]["api"] = {"url": "https://harbor.example.com"}
                if maybe(rng, 0.5):
                    d["spec"].pop("protected", None)
                continue
            if d["spec"].get("mode") == "disabled" and maybe(rng, 0.8):
                d["spec"]["mode"] = rng.choice(["audit", "enforce"])
            if maybe(rng, 0.85):
                d["spec"]["findings"] = generate_findings_rules(rng)
            d["spec"].pop("requireInHarbor", None)
            if maybe(rng, 0.5):
                d["spec"]["requireInHarbor"] = rng.choice(["never", "cached", "servable"])
            if maybe(rng, 0.3):
                d["spec"]["onHarborUnavailable"] = rng.choice(["keep", "rewrite"])
        files[name] = to_yaml(rng, documents)
    return files


def generate_scan(rng, now):
    scan = {}
    if maybe(rng, 0.7):
        scan["status"] = rng.choice(["Success"] * 8 + ["Error", "Stopped", "Pending", "Scheduled",
                                                       "Running", "None", "Unknown"])
    success = scan.get("status", "Success") == "Success"
    if maybe(rng, 0.8 if success else 0.4):
        age = rng.choice([0, 1, 2, 3600, 5400, 5401, 86400, 86401, 168 * 3600, 168 * 3600 + 1,
                          2000 * 3600, 2000 * 3600 + 1, -60])
        scan["finished"] = time_text(now - age)
    if success and maybe(rng, 0.15):
        scan["partial"] = maybe(rng, 0.8)
    if maybe(rng, 0.15):
        scan["counts"] = {word: rng.choice([0, 1, 7, 999999])
                          for word in some(rng, ["Critical", "High", "Medium", "Low", "Unknown",
                                                 "None"], 0, 4)}
        return scan
    if maybe(rng, 0.85):
        scan["findings"] = [generate_finding(rng) for _ in range(rng.choice(
            [0, 0, 1, 1, 1, 2, 3, 5, 9, 10, 11, 14]))]
    return scan


def generate_finding(rng):
    finding = {"id": rng.choice(IDS), "severity": rng.choice(SEVERITY_WORDS)}
    if maybe(rng, 0.8):
        finding["package"] = rng.choice(PACKAGES)
    if maybe(rng, 0.5):
        finding["fix"] = rng.choice(["1.2", "3.0.22", ""])
    if maybe(rng, 0.4):
        finding["allowlisted"] = maybe(rng, 0.8)
    return finding


def generate_artifact(rng, now):
    artifact = {}
    kind = rng.random()
    if kind < 0.75:
        artifact["present"] = True
        if maybe(rng, 0.1):
            artifact["servable"] = maybe(rng, 0.3)
        if maybe(rng, 0.85):
            artifact["scan"] = generate_scan(rng, now)
        if maybe(rng, 0.05):
            artifact["scannable"] = False
        if maybe(rng, 0.06):
            artifact["pullGate"] = rng.choice(["refused", "refused", "passed"])
    elif kind < 0.85:
        artifact["present"] = False
        artifact["servable"] = maybe(rng, 0.5)
    elif kind < 0.89:
        artifact["authorized"] = False
    elif kind < 0.91:
        artifact["noProject"] = maybe(rng, 0.8)
    elif kind < 0.93:
        artifact["inProxyFilter"] = False
    elif kind < 0.97:
        artifact["servable"] = True
    if maybe(rng, 0.4):
        artifact["public"] = rng.choice([True, True, False, False, None])
    if maybe(rng, 0.12):
        artifact["allowlist"] = "unknown"
    if maybe(rng, 0.6) and artifact.get("authorized", True):
        artifact["digest"] = "sha256:" + "".join(rng.choices(HEX, k=64))
    if maybe(rng, 0.1):
        artifact["more"] = [{"present": False}]
    if maybe(rng, 0.05):        # what a person may write who tries things
        artifact |= rng.choice([{"inProxyFilter": False}, {"pullGate": "refused"},
                                {"authorized": False}, {"present": False},
                                {"scan": generate_scan(rng, now)}])
    return artifact


def generate_facts(rng, policies, documents):
    """A facts file about nine of ten images of the documents."""
    now = NOW + rng.choice([0, 0, 12 * 3600 - 1, 12 * 3600, -86400])
    harbors = {}
    for harbor in policies.harbors:
        if maybe(rng, 0.04):
            continue
        harbors[harbor.name] = {"artifacts": {}}
        if maybe(rng, 0.5):
            harbors[harbor.name]["healthy"] = maybe(rng, 0.9)
        if maybe(rng, 0.1):
            harbors[harbor.name]["authorized"] = maybe(rng, 0.5)
    for text in sorted(set(all_images(documents))):
        reference = model.parse_reference(text)
        for harbor in policies.harbors:
            for renames in (True, False):
                key = model.artifact_key(harbor, reference, renames) if reference else None
                if key and harbor.name in harbors and maybe(rng, 0.93):
                    harbors[harbor.name]["artifacts"][key] = generate_artifact(rng, now)
    return {"recorded": time_text(now), "harbors": harbors}


def all_images(value):
    """Every text under `image` or `reference`, wherever it is."""
    if isinstance(value, dict):
        for key, member in value.items():
            if key in ("image", "reference") and isinstance(member, str):
                yield member
            yield from all_images(member)
    elif isinstance(value, list):
        for member in value:
            yield from all_images(member)


def generate_gate_document(rng, policies):
    """A manifest, or an AdmissionReview of a Pod or a workload."""
    namespace = rng.choice(likely_namespaces(rng, policies))
    policy = model.choose_policy(policies, namespace, rng.choice(LABELS))
    harbor = policy.harbor if policy else rng.choice(policies.harbors)
    ephemeral = maybe(rng, 0.1)
    pod = generate_pod(rng, namespace, harbor, policies.harbors, ephemeral)
    pod["metadata"]["namespace"] = namespace
    as_review = ephemeral or maybe(rng, 0.5)
    (group, kind), thing = ("", "Pod"), pod
    if not ephemeral and maybe(rng, 0.6):
        (group, kind), thing = generate_workload(rng, namespace, pod)
    if not as_review:
        return thing
    request = {"uid": "u", "kind": {"group": group, "version": "v1", "kind": kind},
               "namespace": namespace, "operation": "CREATE", "object": thing,
               "userInfo": {"username": rng.choice(USERS)}}
    if ephemeral:
        old = json.loads(json.dumps(pod))
        old["spec"]["ephemeralContainers"] = old["spec"]["ephemeralContainers"][
            :rng.choice([0, 0, 1, 1, 9])]
        request |= {"operation": "UPDATE", "subResource": "ephemeralcontainers", "oldObject": old}
    elif maybe(rng, 0.5 if kind != "Pod" else 0.2):
        request["operation"] = "UPDATE"
        request["oldObject"] = older(rng, thing, generate_image(rng, harbor, [harbor]), harbor)
    elif maybe(rng, 0.08):
        request |= rng.choice([{"operation": "DELETE"}, {"operation": "CONNECT"},
                               {"subResource": "scale"}, {"subResource": "status"}])
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def generate_workload(rng, namespace, pod):
    """((group, kind), the object) around the Pod as a template; sometimes with a controller."""
    group, kind = rng.choice(list(model.WORKLOADS))
    owners = pod["metadata"].pop("ownerReferences", None)
    for key in ("name", "generateName", "namespace"):
        pod["metadata"].pop(key, None)
    metadata = {"name": rng.choice(["web", "web-5d4f", "backup-29381230", "x", "web-7488ccf7cb"]),
                "namespace": namespace}
    if owners and maybe(rng, 0.6):
        metadata["ownerReferences"] = owners
    template = {"metadata": pod["metadata"], "spec": pod["spec"]}
    if maybe(rng, 0.2):
        template["metadata"]["ownerReferences"] = owners
    spec = {"template": template, "replicas": 1}
    if kind == "CronJob":
        spec = {"jobTemplate": {"spec": spec}, "schedule": "* * * * *"}
    return (group, kind), {"apiVersion": f"{group}/v1" if group else "v1", "kind": kind,
                           "metadata": metadata, "spec": spec}


def respelled(rng, harbor, text):
    """Another name of the same artifact, where there is one."""
    reference = model.parse_reference(text)
    if reference is None:
        return text
    mapped = model.mechanical_mapping(harbor, reference)
    return rng.choice([str(reference), str(mapped or reference),
                       text.replace("docker.io/", "registry-1.docker.io/", 1),
                       text.replace(reference.domain + "/", reference.domain.upper() + "/", 1)])


def older(rng, thing, image, harbor):
    """The object before: some of its images were others, or in other containers."""
    old = json.loads(json.dumps(thing))
    path = model.WORKLOADS.get(model.kind_of(old), [])  # of a Pod: itself
    template = model.template_of(old, path)
    images = model.container_images(template, ["initContainers", "containers",
                                               "ephemeralContainers"])
    for each in images + model.volume_images(template):
        if maybe(rng, 0.4):
            each.holder[each.key] = image
        elif maybe(rng, 0.3):
            each.holder[each.key] = respelled(rng, harbor, each.text)
    spec = template["spec"]
    if maybe(rng, 0.2):
        spec["initContainers"], spec["containers"] = spec.get("containers"), \
            spec.get("initContainers")
    if maybe(rng, 0.1):
        spec.pop("containers", None)
    if maybe(rng, 0.3) and template.get("metadata"):
        template["metadata"]["labels"] = rng.choice(LABELS)
    if maybe(rng, 0.3):
        old["metadata"].pop("ownerReferences", None)
    elif maybe(rng, 0.3):
        old["metadata"]["ownerReferences"] = [{"apiVersion": "apps/v1", "kind": "Deployment",
                                               "name": "web", "uid": "1", "controller": True}]
    return old


def generate_gate_set(seed):
    """(files, documents, facts) of a seed."""
    files = generate_gate_policies(random.Random(f"gate/{seed}"))
    policies = model.load_policies(files)
    documents = [generate_gate_document(random.Random(f"gate/{seed}/{i}"), policies)
                 for i in range(SET_SIZE)]
    facts = generate_facts(random.Random(f"gate/{seed}/facts"), policies, documents)
    return files, documents, facts


# --- JSON text ------------------------------------------------------------------------------------

def encode(rng, value):
    """JSON text of `value` as bytes: compact as the API server's, or with everything that JSON
    allows besides: white space, escapes where none is needed, keys in any order or twice."""
    if maybe(rng, 0.5):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Encoder(rng).encode(value).encode()


class Encoder:
    def __init__(self, rng, decoys=("\"decoy\"", "null", "12", "\"\\u0000\"")):
        self.rng = rng
        self.decoys = decoys
        self.shuffle = maybe(rng, 0.5)
        self.space = rng.choice([0, 0, 0.1, 0.6])
        self.escape = rng.choice([0, 0.02, 0.3])
        self.twice = rng.choice([0, 0.02, 0.1])

    def encode(self, value):
        if isinstance(value, dict):
            members = []
            items = list(value.items())
            if self.shuffle:
                self.rng.shuffle(items)
            for key, member in items:
                if not isinstance(member, (dict, list)) and maybe(self.rng, self.twice):
                    # the last one counts
                    members.append(f"{self.string(key)}:{self.rng.choice(self.decoys)}")
                members.append(f"{self.string(key)}{self.gap()}:{self.encode(member)}")
            text = "{" + ",".join(members) + self.gap() + "}"
        elif isinstance(value, list):
            text = "[" + ",".join(self.encode(member) for member in value) + self.gap() + "]"
        elif isinstance(value, str):
            text = self.string(value)
        else:
            text = json.dumps(value)
        return self.gap() + text + self.gap()

    def gap(self):
        if not maybe(self.rng, self.space):
            return ""
        return "".join(self.rng.choices(" \n\t\r", k=self.rng.randint(1, 3)))

    def string(self, text):
        if not self.escape or len(text) > 200 or maybe(self.rng, 0.5):
            return json.dumps(text, ensure_ascii=maybe(self.rng, 0.5))
        return "\"" + "".join(self.character(c) for c in text) + "\""

    def character(self, c):
        if maybe(self.rng, self.escape):
            if c == "/":
                return "\\/"
            return "".join(f"\\u{unit:04x}" if maybe(self.rng, 0.5) else f"\\u{unit:04X}"
                           for unit in struct.unpack(f">{len(c.encode('utf-16-be')) // 2}H",
                                                     c.encode("utf-16-be")))
        return json.dumps(c, ensure_ascii=False)[1:-1]


# --- a look at it ---------------------------------------------------------------------------------

def main():
    seed = sys.argv[1] if len(sys.argv) > 1 else "1"
    files = generate_policies(random.Random(seed))
    for name, text in files.items():
        print(f"# {name}\n{text}")
    policies = model.load_policies(files)
    reasons = collections.Counter()
    for i in range(SET_SIZE):
        path_mode, admission = generate_review(random.Random(f"{seed}/{i}"), policies)
        request = admission["request"]
        answer = model.review(policies, path_mode, request)
        print(f"--- {seed}/{i} {path_mode} {request['namespace']} {request['operation']}")
        for decision in answer.decisions:
            reasons[decision["rewrite"]["reason"]] += 1
            print(f"    {decision['rewrite']['reason']:20} {decision['image']!r}"
                  f" → {decision['result']!r}")
    print(dict(reasons))


if __name__ == "__main__":
    main()

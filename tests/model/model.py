"""The rules of rewriting, written down slowly and plainly: a second opinion on the program.

It is written from the documents alone and reads nothing of the C sources, so that a mistake has to
be made twice to stay hidden. `review` knows every rule that needs nothing from a Harbor (a Policy's
Harbor has no `api`); `plan` knows what facts change, and the gate. It knows nothing of HTTP, of JSON
Patch, and it does not validate policies: what it is given has to be valid already.

    policies = load_policies({"10-waves.yaml": text, ...})
    answer = review(policies, "enforce", request)
    decisions = plan(policies, "enforce", document, Facts(json.loads(text)))

`request` is the `request` of an AdmissionReview as json.loads reads it. The answer holds the
decision for each image, the Pod as it should be afterwards, and the audit annotations. `document`
is a manifest, or a whole AdmissionReview.
"""

import copy
import datetime
import functools
import hashlib
import json
import re
from dataclasses import dataclass, field, replace

import yaml

MODE_ANNOTATION = "harbor-pilot.io/mode"
ORIGINALS_ANNOTATION = "harbor-pilot.io/original-images"
MIRROR_ANNOTATION = "kubernetes.io/config.mirror"

ALWAYS_PROTECTED = ["kube-system", "kube-public", "kube-node-lease"]

# domain and path together, before and after rewriting: what the strictest containerd takes
NAME_LENGTH_MAX = 255
# apimachinery: TotalAnnotationSizeLimitB, the bytes of all keys and all values
ANNOTATIONS_SIZE_MAX = 256 * 1024

# When several reasons would do, the first of this order is given.
REASONS = [
    "policy-invalid", "protected", "no-policy", "policy-disabled", "mirror-pod", "opted-out",
    "owned-by-operator", "pull-policy-never", "placeholder", "image-id", "unparseable", "already-in-harbor",
    "registry-not-proxied", "excluded", "not-in-rollout", "too-long", "pull-secret-missing",
    "rewritten",
]

BUILT_IN_CONTROLLERS = {
    ("apps", "ReplicaSet"), ("apps", "StatefulSet"), ("apps", "DaemonSet"),
    ("batch", "Job"), ("", "ReplicationController"),
}


# --- image references -----------------------------------------------------------------------------
# distribution/reference, regexp.go: the names are those of the source.

_ALPHANUMERIC = r"[a-z0-9]+"
_SEPARATOR = r"(?:[._]|__|[-]+)"
_PATH_COMPONENT = rf"{_ALPHANUMERIC}(?:{_SEPARATOR}{_ALPHANUMERIC})*"
_REMOTE_NAME = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_DOMAIN_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN_NAME = rf"{_DOMAIN_COMPONENT}(?:\.{_DOMAIN_COMPONENT})*"
_IPV6_ADDRESS = r"\[(?:[a-fA-F0-9:]+)\]"
_DOMAIN_AND_PORT = rf"(?:{_DOMAIN_NAME}|{_IPV6_ADDRESS})(?::[0-9]+)?"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*[:][0-9A-Fa-f]{32,}"

_NAME = re.compile(rf"(?:(?P<domain>{_DOMAIN_AND_PORT})/)?(?P<path>{_REMOTE_NAME})")
_REFERENCE = re.compile(
    rf"(?P<name>(?:{_DOMAIN_AND_PORT}/)?{_REMOTE_NAME})"
    rf"(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?")
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")

# go-digest, algorithm.go: the length of the hexadecimal part, which is in lower case
_DIGEST_ALGORITHMS = {"sha256": 64, "sha384": 96, "sha512": 128}


@dataclass(frozen=True)
class Reference:
    """A normalised image reference. An absent tag or digest is None, not empty."""
    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None

    @property
    def name(self):
        # The domain can be empty: "un_der.score/x" is split as a domain, is none, stays path.
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def suffix(self):
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self):
        return self.name + self.suffix


def split_docker_domain(name):
    """distribution/reference, normalize.go, splitDockerDomain: (domain, the rest)."""
    first, slash, rest = name.partition("/")
    if not slash:
        return "docker.io", "library/" + name
    if first == "localhost":
        domain, remainder = first, rest
    elif first == "index.docker.io":
        domain, remainder = "docker.io", rest
    elif "." in first or ":" in first:
        domain, remainder = first, rest
    elif first.lower() != first:
        domain, remainder = first, rest
    else:
        domain, remainder = "docker.io", name
    if domain == "docker.io" and "/" not in remainder:
        remainder = "library/" + remainder
    return domain, remainder


IMAGE_ID = re.compile(r"(sha256:)?[0-9a-f]{64}")  # of an image that the node has


def parse_reference(text):
    """What containerd reads in `text` (ParseNormalizedNamed), or None where it would take none.

    The tag is kept beside a digest, and none is added where there is none: the bytes of both are
    what we write again.
    """
    if _IDENTIFIER.fullmatch(text):
        return None
    domain, remainder = split_docker_domain(text)
    remote = remainder.partition(":")[0]
    if remote.lower() != remote:
        return None
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None:
        return None
    # v0.5 (containerd 1.6) limits domain and path together, v0.6 the path only: the stricter.
    if len(match["name"]) > NAME_LENGTH_MAX:
        return None
    if match["digest"] is not None and not _digest_is_valid(match["digest"]):
        return None
    name = _NAME.fullmatch(match["name"])
    return Reference(name["domain"] or "", name["path"], match["tag"], match["digest"])


def _digest_is_valid(digest):
    algorithm, _, encoded = digest.partition(":")
    length = _DIGEST_ALGORITHMS.get(algorithm)
    return length is not None and re.fullmatch(r"[a-f0-9]*", encoded) and len(encoded) == length


# --- policies -------------------------------------------------------------------------------------

@dataclass
class Harbor:
    name: str
    host: str
    registries: dict
    renames: dict
    protected: list
    has_api: bool = False
    nodes_have_credentials: bool = False
    trusted_controllers: list = field(default_factory=list)


@dataclass
class Policy:
    name: str
    harbor: Harbor
    namespaces: list
    pod_selector: dict | None = None
    priority: int = 0
    mode: str = "enforce"
    rollout: int = 100
    registries: list | None = None
    exclude: list = field(default_factory=list)
    owners_include: list = field(default_factory=list)
    pull_secret: str | None = None
    pull_policy: str | None = None
    require_in_harbor: str = "never"
    on_harbor_unavailable: str = "keep"
    findings: dict | None = None        # the document's; None: no gate


@dataclass
class Policies:
    harbors: list
    policies: list
    protected: list


def load_policies(files, own_namespace=None):
    """`files`: file name -> YAML text, all of it valid. `own_namespace`: HARBOR_PILOT_NAMESPACE."""
    documents = []
    for name in sorted(files):
        documents += [d for d in yaml.safe_load_all(files[name]) if d is not None]

    harbors = []
    for document in documents:
        if document["kind"] == "Harbor":
            spec = document["spec"]
            harbors.append(Harbor(document["metadata"]["name"], spec["host"], spec["registries"],
                                  spec.get("renames", {}),
                                  spec.get("protected", ALWAYS_PROTECTED), "api" in spec,
                                  spec.get("nodesHaveCredentials", False),
                                  spec.get("trustedControllers", [])))

    policies = []
    for document in documents:
        if document["kind"] == "Policy":
            spec = document["spec"]
            if "harbor" in spec:
                harbor = next(h for h in harbors if h.name == spec["harbor"])
            else:
                [harbor] = harbors
            policies.append(Policy(
                name=document["metadata"]["name"],
                harbor=harbor,
                namespaces=spec["namespaces"],
                pod_selector=spec.get("podSelector"),
                priority=spec.get("priority", 0),
                mode=spec.get("mode", "enforce"),
                rollout=spec.get("rollout", 100),
                registries=spec.get("registries"),
                exclude=spec.get("exclude", []),
                owners_include=spec.get("owners", {}).get("include", []),
                pull_secret=spec.get("pullSecret"),
                pull_policy=spec.get("pullPolicy"),
                require_in_harbor=spec.get("requireInHarbor",
                                           "servable" if harbor.has_api else "never"),
                on_harbor_unavailable=spec.get("onHarborUnavailable", "keep"),
                findings=spec.get("findings")))

    protected = [namespace for harbor in harbors for namespace in harbor.protected]
    if own_namespace:
        protected.append(own_namespace)
    return Policies(harbors, policies, protected)


def is_glob(pattern):
    return "*" in pattern or "?" in pattern


def glob_matches(pattern, text):
    """`*` is any run of characters, `/` included; `?` is one; everything else is itself."""
    return _glob(pattern).fullmatch(text) is not None


@functools.cache
def _glob(pattern):
    regex = "".join({"*": ".*", "?": "."}.get(c, re.escape(c)) for c in pattern)
    return re.compile(regex, re.DOTALL)


def labels_of(thing):
    return thing["metadata"].get("labels") or {} if thing.get("metadata") else {}


def has_selector(selector):
    return bool(selector and (selector.get("matchLabels") or selector.get("matchExpressions")))


def selector_matches(selector, labels):
    """Kubernetes, docs/concepts/overview/working-with-objects/labels: all of it has to hold."""
    if not has_selector(selector):
        return True
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return False
    for expression in selector.get("matchExpressions") or []:
        there, values = expression["key"] in labels, expression.get("values", [])
        value = labels.get(expression["key"])
        if not {"In": there and value in values, "NotIn": not there or value not in values,
                "Exists": there, "DoesNotExist": not there}[expression["operator"]]:
            return False
    return True


def choose_policy(policies, namespace, labels):
    """The Policy that claims a Pod with the labels in the namespace: the higher priority first, then
    exact before glob, then with a podSelector before without."""
    candidates = []
    for policy in policies.policies:
        exact = namespace in [n for n in policy.namespaces if not is_glob(n)]
        globbed = any(is_glob(n) and glob_matches(n, namespace) for n in policy.namespaces)
        if (exact or globbed) and selector_matches(policy.pod_selector, labels):
            candidates.append((policy.priority, exact, has_selector(policy.pod_selector), policy))
    if not candidates:
        return None
    best = max(candidates, key=lambda c: c[:3])
    assert [c[:3] for c in candidates].count(best[:3]) == 1, f"two Policies claim {namespace}"
    return best[3]


def is_protected(policies, namespace):
    return any(glob_matches(pattern, namespace) for pattern in policies.protected)


def is_excluded(policy, reference):
    for pattern in policy.exclude:
        last_part = pattern.rpartition("/")[2]
        whole = ":" in last_part or "@" in last_part
        if glob_matches(pattern, str(reference) if whole else reference.name):
            return True
    return False


def longest_prefix(prefixes, name):
    """The longest of the prefixes that the name begins with, by whole components; or None."""
    parts = name.split("/")
    for count in range(len(parts), 0, -1):
        if "/".join(parts[:count]) in prefixes:
            return "/".join(parts[:count])
    return None


def registry_key(harbor, reference):
    """The key of `registries` that the image belongs to, or None."""
    return longest_prefix(harbor.registries, reference.name) if reference.domain else None


def rename(harbor, reference):
    """The reference as it is looked for, or None where no rename applies. Once: there are no chains."""
    old = longest_prefix(harbor.renames, reference.name) if reference.domain else None
    if old is None or (old == reference.name and "/" not in harbor.renames[old]):
        return None             # none, or nothing would be left but a registry
    domain, path = split_docker_domain(harbor.renames[old] + reference.name[len(old):])
    return Reference(domain, path, reference.tag, reference.digest)


def renamed(policy, text, reason):
    """The decision's `renamed`: under which name it is looked for, where that is what counted."""
    if reason not in ("rewritten", "registry-not-proxied", "too-long"):
        return {}
    new = rename(policy.harbor, parse_reference(text))
    return {"renamed": str(new)} if new else {}


def mechanical_mapping(harbor, reference):
    """Where the Harbor's `renames` and `registries` put the reference, whatever a Policy says; or
    None."""
    reference = rename(harbor, reference) or reference
    key = registry_key(harbor, reference)
    if key is None:
        return None
    project = harbor.registries[key]
    return Reference(harbor.host, f"{project}/{reference.path}", reference.tag, reference.digest)


# --- the Pod and whose it is ----------------------------------------------------------------------

def annotations_of(pod):
    return pod["metadata"].get("annotations") or {}


def controller_of(pod):
    """(group, kind, name) of the ownerReference with `controller: true`, or None."""
    for owner in pod["metadata"].get("ownerReferences") or []:
        if owner.get("controller") is True:
            group, slash, _ = owner["apiVersion"].partition("/")
            return (group if slash else "", owner["kind"], owner["name"])
    return None


# Above a built-in controller, and yet comparing the images of Pods: name, what owners.include may
# say, the owner (group, kind, name or None: any), the labels (value None: any).
COMPARED_BY = [
    ("longhorn.io/Manager", ("apps", "DaemonSet", "longhorn-manager"), {}),
    ("core/Service", None, {"vcluster.loft.sh/managed-by": None}),
    ("core/Service", ("", "Service", None), {}),
    ("acid.zalan.do/postgresql", ("apps", "StatefulSet", None), {"application": "spilo"}),
    ("asdb.aerospike.com/AerospikeCluster", ("apps", "StatefulSet", None),
     {"app": "aerospike-cluster", "aerospike.com/cr": None}),
    ("redpanda.vectorized.io/Cluster", ("apps", "StatefulSet", None),
     {"app.kubernetes.io/name": "redpanda", "app.kubernetes.io/managed-by": "redpanda-operator"}),
    ("crdb.cockroachlabs.com/CrdbCluster", ("apps", "StatefulSet", None),
     {"app.kubernetes.io/managed-by": "cockroach-operator"}),
]


def is_compared(policy, pod):
    """Whether an operator compares the Pod's images that no owner tells."""
    controller = owner = controller_of(pod)
    for reference in (pod["metadata"].get("ownerReferences") or [])[:0 if controller else 1]:
        group, slash, _ = reference["apiVersion"].partition("/")
        owner = (group if slash else "", reference["kind"], reference["name"])
    labels = pod["metadata"].get("labels") or {}
    for included, wanted, wanted_labels in COMPARED_BY:
        if wanted and (owner is None or wanted[:2] != owner[:2] or wanted[2] not in (None, owner[2])):
            continue
        if any(name not in labels or value not in (None, labels[name])
               for name, value in wanted_labels.items()):
            continue
        names = [included]
        if controller:
            names.append(f"{controller[0] or 'core'}/{controller[1]}")
        return not any(name in policy.owners_include for name in names)
    return False


def may_touch(policy, pod):
    return may_touch_controller(policy, controller_of(pod)) and not is_compared(policy, pod)


def may_touch_controller(policy, controller):
    if controller is None:
        return True
    group, kind, _ = controller
    if (group, kind) in BUILT_IN_CONTROLLERS:
        return True
    return f"{group or 'core'}/{kind}" in policy.owners_include


def workload_of(namespace, pod):
    """`namespace/Kind/name` of what the rollout counts as one workload."""
    metadata = pod["metadata"]
    controller = controller_of(pod)
    if controller is None:
        return f"{namespace}/Pod/{metadata.get('name') or metadata.get('generateName') or ''}"
    group, kind, name = controller
    if (group, kind) == ("apps", "ReplicaSet"):
        template_hash = (metadata.get("labels") or {}).get("pod-template-hash")
        if template_hash and name.endswith("-" + template_hash):
            kind, name = "Deployment", name[:-len("-" + template_hash)]
        rollout_hash = (metadata.get("labels") or {}).get("rollouts-pod-template-hash")
        if kind == "ReplicaSet" and rollout_hash and name.endswith("-" + rollout_hash):
            kind, name = "Rollout", name[:-len("-" + rollout_hash)]
    if (group, kind) == ("batch", "Job"):
        match = re.fullmatch(r"(.+)-[0-9]{8,}", name)
        if match:
            kind, name = "CronJob", match[1]
    return f"{namespace}/{kind}/{name}"


def bucket_of(workload):
    first4 = hashlib.sha256(workload.encode()).digest()[:4]
    return int.from_bytes(first4, "big") % 100


@dataclass
class Image:
    """One image field of a Pod. `holder` is the object that `key` and `pull_policy_key` are in."""
    field: str
    container: str | None
    volume: str | None
    holder: dict
    key: str
    pull_policy_key: str

    @property
    def text(self):
        return self.holder[self.key]

    @property
    def original_key(self):
        return self.container if self.volume is None else f"volume/{self.volume}"

    @property
    def audit_key(self):
        prefix, name = ("image", self.container) if self.volume is None else ("volume", self.volume)
        if len(name) > 48:
            name = name[:39] + "-" + hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{prefix}-{name}"


def container_images(pod, lists):
    images = []
    for list_name in lists:
        for i, container in enumerate(pod["spec"].get(list_name) or []):
            if container.get("image"):
                images.append(Image(f"/spec/{list_name}/{i}/image", container["name"], None,
                                    container, "image", "imagePullPolicy"))
    return images


def volume_images(pod):
    images = []
    for i, volume in enumerate(pod["spec"].get("volumes") or []):
        source = volume.get("image")
        if source and source.get("reference"):
            images.append(Image(f"/spec/volumes/{i}/image/reference", None, volume["name"],
                                source, "reference", "pullPolicy"))
    return images


def images_of_request(request, pod):
    """The images this review is about."""
    if request["operation"] == "CREATE":
        return (container_images(pod, ["initContainers", "containers", "ephemeralContainers"])
                + volume_images(pod))
    old_spec = (request.get("oldObject") or {}).get("spec") or {}
    old = {c["name"] for c in old_spec.get("ephemeralContainers") or []}
    return [i for i in container_images(pod, ["ephemeralContainers"]) if i.container not in old]


def concerns_us(request):
    """CREATE of a Pod, or UPDATE of a Pod's ephemeral containers."""
    kind, resource = request["kind"], request["resource"]
    if (kind.get("group", ""), kind["kind"], kind["version"]) != ("", "Pod", "v1"):
        return False
    if (resource.get("group", ""), resource["resource"]) != ("", "pods"):
        return False
    return ((request["operation"], request.get("subResource") or "")
            in [("CREATE", ""), ("UPDATE", "ephemeralcontainers")])


# --- one review -----------------------------------------------------------------------------------

@dataclass
class Answer:
    decisions: list
    pod: object
    audit_annotations: dict     # values as objects, not as JSON text, but for `policy`
    mode: str | None = None     # the effective one; None where no Policy matched


def review(policies, path_mode, request):
    """`policies`: None where none could be loaded. `path_mode`: audit or enforce.

    The request is left as it was.
    """
    pod = copy.deepcopy(request.get("object"))
    if not concerns_us(request):
        return Answer([], pod, {})

    namespace = request["namespace"]
    images = images_of_request(request, pod)
    policy = None
    if policies is not None and not is_protected(policies, namespace):
        policy = choose_policy(policies, namespace, labels_of(pod))
    mode = weaker(path_mode, policy.mode) if policy else None
    bucket = bucket_of(workload_of(namespace, pod))

    user = (request.get("userInfo") or {}).get("username", "")
    whole = reason_for_whole_pod(policies, policy, namespace, pod, is_mirror_pod(pod, user))
    can_add_secret = request["operation"] == "CREATE"
    decisions = []
    for image in images:
        reason, result = whole, image.text
        if reason is None:
            reason, result = decide_image(policy, image, bucket, pod, can_add_secret)
        decision = {"field": image.field}
        if image.volume is None:
            decision["container"] = image.container
        else:
            decision["volume"] = image.volume
        decision.update({
            "image": image.text, "result": result,
            "rewrite": {"outcome": "rewrite" if reason == "rewritten" else "keep",
                        "reason": reason}})
        if policy:
            decision.update({"policy": policy.name, "bucket": bucket})
            decision.update(renamed(policy, image.text, reason))
        decisions.append(decision)

    audit_annotations = {}
    if policy:
        audit_annotations["policy"] = policy.name
    for image, decision in zip(images, decisions):
        if decision["rewrite"]["outcome"] == "rewrite":
            audit_annotations[image.audit_key] = decision

    if mode == "enforce" and whole is None:
        left_alone = bucket >= policy.rollout
        if not left_alone:
            change_pod(policy, request, pod, images, decisions)
    return Answer(decisions, pod, audit_annotations, mode)


def weaker(one, other):
    return min(one, other, key=["disabled", "audit", "enforce"].index)


def is_mirror_pod(pod, user):
    """A node made it: the annotation alone proves nothing. `user` None: nobody knows who asks."""
    return MIRROR_ANNOTATION in annotations_of(pod) and (
        user is None or user.startswith("system:node:"))


def reason_for_whole_pod(policies, policy, namespace, pod, mirror):
    if policies is None:
        return "policy-invalid"
    if is_protected(policies, namespace):
        return "protected"
    if policy is None:
        return "no-policy"
    if policy.mode == "disabled":
        return "policy-disabled"
    if mirror:
        return "mirror-pod"
    if annotations_of(pod).get(MODE_ANNOTATION) == "disabled":
        return "opted-out"
    if not may_touch(policy, pod):
        return "owned-by-operator"
    return None


def decide_image(policy, image, bucket, pod, can_add_secret):
    """(reason, the image afterwards)."""
    harbor = policy.harbor
    if image.holder.get(image.pull_policy_key) == "Never":
        return "pull-policy-never", image.text
    if is_placeholder(image.text):
        return "placeholder", image.text
    if IMAGE_ID.fullmatch(image.text):
        return "image-id", image.text
    reference = parse_reference(image.text)
    if reference is None:
        return "unparseable", image.text
    if reference.domain == harbor.host:
        return "already-in-harbor", image.text
    mapped = mechanical_mapping(harbor, reference)
    if mapped is None:
        return "registry-not-proxied", image.text
    if policy.registries is not None and \
            registry_key(harbor, rename(harbor, reference) or reference) not in policy.registries:
        return "registry-not-proxied", image.text
    if is_excluded(policy, reference):
        return "excluded", image.text
    if bucket >= policy.rollout:
        return "not-in-rollout", image.text
    if len(mapped.name) > NAME_LENGTH_MAX:
        return "too-long", image.text
    if policy.pull_secret and not can_add_secret and not has_pull_secret(pod, policy.pull_secret):
        return "pull-secret-missing", image.text
    return "rewritten", str(mapped)


def has_pull_secret(pod, name):
    return any(s.get("name") == name for s in pod["spec"].get("imagePullSecrets") or [])


def change_pod(policy, request, pod, images, decisions):
    """Does to `pod` what enforce does to a Pod that is not left alone as a whole."""
    creating = request["operation"] == "CREATE"
    moved = [(i, d) for i, d in zip(images, decisions) if d["rewrite"]["outcome"] == "rewrite"]

    if creating and moved:
        write_originals(policy, pod, images, moved)

    for image, decision in moved:
        image.holder[image.key] = decision["result"]
        if policy.pull_policy:
            image.holder[image.pull_policy_key] = policy.pull_policy

    if creating and policy.pull_secret and not has_pull_secret(pod, policy.pull_secret):
        if any(ends_at(policy.harbor, image.text) for image in images):
            secrets = pod["spec"].get("imagePullSecrets") or []
            pod["spec"]["imagePullSecrets"] = secrets + [{"name": policy.pull_secret}]


def ends_at(harbor, text):
    reference = parse_reference(text)
    return reference is not None and reference.domain == harbor.host


def write_originals(policy, pod, images, moved):
    """The annotation that keeps the original references; called before the images are changed."""
    present = {image.original_key: image.text for image in images}
    originals = {}
    for key, text in read_originals(annotations_of(pod).get(ORIGINALS_ANNOTATION)).items():
        reference = parse_reference(text)
        mapped = mechanical_mapping(policy.harbor, reference) if reference else None
        now = present.get(key)
        if now and reference and not reference.digest:
            now = now.partition("@")[0]  # somebody may have pinned it since
        if mapped is not None and now == str(mapped):
            originals[key] = text
    for image, _ in moved:
        originals[image.original_key] = image.text

    annotations = dict(annotations_of(pod))
    annotations[ORIGINALS_ANNOTATION] = json.dumps(originals, separators=(",", ":"),
                                                   ensure_ascii=False)
    size = sum(len(k.encode()) + len(v.encode()) for k, v in annotations.items())
    if size <= ANNOTATIONS_SIZE_MAX:
        pod["metadata"]["annotations"] = annotations


def read_originals(text):
    """The entries of an annotation that a user may have written; {} where it holds none."""
    if text is None:
        return {}
    try:
        value = json.loads(text, parse_constant=_refuse)
    except ValueError:
        return {}
    if not isinstance(value, dict) or not all(isinstance(v, str) for v in value.values()):
        return {}
    return value


def _refuse(constant):
    raise ValueError(f"{constant} is not JSON")


# --- facts ----------------------------------------------------------------------------------------
# harbor-pilot-plan(1), `--facts`

class Facts:
    """What a facts file says; its `recorded` time is now."""

    def __init__(self, document, now=None):
        self.harbors = document["harbors"]
        recorded = document.get("recorded")
        self.now = seconds_of(recorded) if recorded else now

    def health(self, harbor):
        facts = self.harbors.get(harbor.name)
        if facts is None:
            return "unknown"
        if not facts.get("healthy", True):
            return "down"
        return "up" if facts.get("authorized", True) else "unauthorized"

    def artifact(self, harbor, key):
        """The object of that key, or None where nothing is known."""
        return self.harbors.get(harbor.name, {}).get("artifacts", {}).get(key)


def seconds_of(time):
    return int(datetime.datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp())


def artifact_key(harbor, reference, renames=True):
    """PROJECT/REPOSITORY:TAG or …@DIGEST of what the Harbor would serve; None where it serves none.
    Without `renames` of what it would serve under the very name.

    An image that is at the Harbor's host already is the artifact that it names.
    """
    if reference.domain == harbor.host:
        project, _, repository = reference.path.partition("/")
        if not repository:
            return None
    else:
        if not renames:
            harbor = replace(harbor, renames={})
        mapped = mechanical_mapping(harbor, reference)
        if mapped is None:
            return None
        project, _, repository = mapped.path.partition("/")
    name = f"{project}/{repository}"
    return f"{name}@{reference.digest}" if reference.digest else f"{name}:{reference.tag or 'latest'}"


def dialled(host):
    """A host without case and the default port; Docker Hub's names are one."""
    host = "".join(c.lower() if "A" <= c <= "Z" else c for c in host).removesuffix(":443")
    return "docker.io" if host in ("index.docker.io", "registry-1.docker.io") else host


def judged_key(harbor, text, renames=False):
    """The artifact that is pulled, by whatever name; None where the Harbor serves none."""
    reference = None if IMAGE_ID.fullmatch(text) else parse_reference(text)
    if reference is None:
        return None
    domain, path = dialled(reference.domain), reference.path
    if domain == dialled(harbor.host):
        domain = harbor.host
    elif domain == "docker.io" and "/" not in path:
        path = "library/" + path
    return artifact_key(harbor, replace(reference, domain=domain, path=path), renames)


def is_placeholder(text):
    return text == "auto" or text.strip(" ") == ""


def identity(policy, text):
    """What tells whether a changed object had the image before."""
    return (policy and judged_key(policy.harbor, text)) or ("text", text)


def reason_by_facts(policy, reference, pod, can_add_secret, facts):
    """Why an image that would be rewritten is kept all the same, or `rewritten`."""
    if facts is None or not policy.harbor.has_api:
        return "rewritten"
    health = facts.health(policy.harbor)
    if health == "down":
        return "harbor-down" if policy.on_harbor_unavailable == "keep" else "rewritten"
    if policy.require_in_harbor == "never":
        return "rewritten"
    if health == "unauthorized":
        return "harbor-auth"
    artifact = facts.artifact(policy.harbor, artifact_key(policy.harbor, reference))
    if artifact is None:
        return "not-known-in-time"
    if artifact.get("noProject"):
        return "no-project"
    has_secret = bool(pod["spec"].get("imagePullSecrets")) or (policy.pull_secret and can_add_secret)
    public = artifact.get("public", True)       # null: nobody knew
    if public is not True and not policy.harbor.nodes_have_credentials and not has_secret:
        return "pull-secret-missing" if public is False else "not-known-in-time"
    if not artifact.get("authorized", True):
        return "harbor-auth"
    if artifact.get("pullGate") == "refused":
        return "refused-by-harbor"
    if not artifact.get("inProxyFilter", True):
        return "outside-proxy-filter"
    present = artifact.get("present", False)
    servable = artifact.get("servable", present)
    found = servable if policy.require_in_harbor == "servable" else present
    return "rewritten" if found else "not-in-harbor"


# --- the gate -------------------------------------------------------------------------------------
# docs/policies.md, all of it

SEVERITIES = ["None", "Unknown", "Low", "Medium", "High", "Critical"]
CVES_SHOWN = 10

# the names that kube-controller-manager's controllers have (Kubernetes, cmd/kube-controller-manager)
CONTROLLER_USERS = {"system:kube-controller-manager"} | {
    "system:serviceaccount:kube-system:" + name for name in (
        "replicaset-controller", "deployment-controller", "statefulset-controller",
        "daemon-set-controller", "job-controller", "cronjob-controller", "replication-controller")}


def duration_seconds(text):
    units = {"h": 3600, "m": 60, "s": 1, "ms": 0.001}
    return int(sum(float(n) * units[u] for n, u in re.findall(r"([0-9.]+)(ms|h|m|s)", text)))


@dataclass(frozen=True)
class Finding:
    id: str
    package: str
    severity: int
    fix: str
    allowlisted: bool

    def as_json(self):
        written = {"id": self.id, "severity": SEVERITIES[self.severity], "package": self.package}
        return written | {"fix": self.fix} if self.fix else written


def severity_number(text):
    return [s.lower() for s in SEVERITIES].index({"negligible": "none"}.get(text.lower(),
                                                                           text.lower()))


def findings_of(scan):
    """Each once per id, package and severity; worst first, then those with a fix, then by id."""
    together = {}
    for f in scan.get("findings", []):
        key = (f["id"], f.get("package", ""), severity_number(f["severity"]))
        together.setdefault(key, []).append(f)
    findings = [Finding(*key, min((f["fix"] for f in same if f.get("fix")), default=""),
                        all(f.get("allowlisted", False) for f in same))
                for key, same in together.items()]
    return sorted(findings, key=lambda f: (-f.severity, not f.fix, f.id.encode(),
                                           f.package.encode(), f.fix.encode()))


def is_alive(entry, now):
    """`until` is through 23:59:59 UTC."""
    if entry.get("until") is None:
        return True
    day = datetime.datetime.fromtimestamp(now, datetime.timezone.utc).date()
    return day <= datetime.date.fromisoformat(str(entry["until"]))


class Rules:
    """`findings` of a Policy, with the defaults of docs/policies.md."""

    def __init__(self, findings):
        self.severity = severity_number(findings.get("severity", "Critical"))
        self.action = findings.get("action", "deny")
        self.on_pods = findings.get("enforceOn", "workloads") == "pods"
        self.fixable_only = findings.get("fixableOnly", False)
        self.unscanned = findings.get("unscanned", "warn")
        self.unproxied = findings.get("unproxied", "warn")
        self.unavailable = findings.get("unavailable", "allow")
        self.max_age = duration_seconds(findings.get("maxAge", "168h"))
        self.allow = findings.get("allow", [])

    def accepts(self, identity, now):
        return any(entry["id"] == identity and is_alive(entry, now) for entry in self.allow)

    def may_accept(self, now):
        return any(is_alive(entry, now) for entry in self.allow)

    def outcome(self, reason):
        if reason in ("findings", "refused-by-harbor"):
            return self.action
        if reason in ("unscanned", "scanning", "scan-failed", "too-old"):
            return self.unscanned
        return {"unproxied": self.unproxied, "unavailable": self.unavailable}.get(reason, "allow")


def gate_reason(rules, artifact, now):
    """(reason, what counts against the artifact) of what a Harbor that can be asked knows."""
    if artifact is None or artifact.get("noProject") or not artifact.get("authorized", True):
        return "unavailable", []
    if artifact.get("pullGate") == "refused":
        return "refused-by-harbor", []
    if not artifact.get("inProxyFilter", True):
        return "unproxied", []
    if not artifact.get("present", False):
        return "unscanned", []
    if not artifact.get("scannable", True):
        return "not-scannable", []
    scan = artifact.get("scan")
    if scan is None:
        return "unscanned", []
    status = scan.get("status", "Success")
    if status == "Unknown":
        return "unavailable", []
    too_old = "finished" in scan and now - seconds_of(scan["finished"]) > rules.max_age
    if status == "Success" and too_old:
        return "too-old", []
    verdict, bad = verdict_of(rules, artifact, scan, now)
    if verdict == "findings" and not too_old:
        return "findings", bad          # also where another platform's scan is missing
    if status == "None":
        return "unscanned", []
    if status in ("Pending", "Scheduled", "Running"):
        return "scanning", []
    if status in ("Error", "Stopped") or (scan.get("partial") and verdict != "unavailable"):
        return "scan-failed", []
    return verdict, []


def verdict_of(rules, artifact, scan, now):
    """What the known findings come to, whether the scan is whole or not: (reason, what is bad)."""
    list_is_known = "counts" not in scan
    allowlist_is_known = artifact.get("allowlist") != "unknown"
    counts = counts_of(scan)
    if not any(counts):
        return "clean", []
    if not any(counts[rules.severity:]):
        return "below-threshold", []
    if not list_is_known:
        # of a number nobody can say whether it is accepted or can be repaired
        certain = allowlist_is_known and not rules.fixable_only and not rules.may_accept(now)
        return ("findings" if certain else "unavailable"), []
    high = [f for f in findings_of(scan) if f.severity >= rules.severity]
    counting = [f for f in high if f.fix or not rules.fixable_only]
    bad = [f for f in counting if not f.allowlisted and not rules.accepts(f.id, now)]
    if bad:
        return ("findings", bad) if allowlist_is_known else ("unavailable", [])
    return ("allowlisted" if counting else "below-threshold"), []


def counts_of(scan):
    """How many of each severity, by its number. `counts` stands in for a list that nobody knows."""
    counts = [0] * len(SEVERITIES)
    if "counts" in scan:
        for word, number in scan["counts"].items():
            counts[severity_number(word)] = number
    else:
        for finding in findings_of(scan):
            counts[finding.severity] += 1
    return counts


def judge(policy, image, controlled, facts, moves=True):
    """The gate's object for one image, but for `detail`; None where it is not judged. `moves`: it is
    rewritten, but for what facts say; else it stays under its old name."""
    if is_placeholder(image):
        return None
    rules, harbor = Rules(policy.findings), policy.harbor
    key = judged_key(harbor, image, moves)
    artifact, bad = None, []
    if key is None:
        reason = "unproxied"
    elif facts is None:
        return None                     # nobody was asked
    elif facts.health(harbor) in ("down", "unauthorized"):
        reason = "unavailable"
    else:
        artifact = facts.artifact(harbor, key)
        reason, bad = gate_reason(rules, artifact, facts.now)
    outcome = rules.outcome(reason)
    if outcome == "deny" and controlled and not rules.on_pods:
        outcome = "warn"
    gate = {"outcome": outcome, "reason": reason}
    if artifact is None:
        return gate
    if artifact.get("digest"):
        gate["digest"] = artifact["digest"]
    scan = artifact.get("scan")
    has_verdict = scan is not None and artifact.get("present") and artifact.get("scannable", True) \
        and (scan.get("status", "Success") == "Success" or reason == "findings")
    if has_verdict:
        if "finished" in scan:
            gate["scanned"] = scan["finished"]
        gate["counts"] = {SEVERITIES[i]: n for i, n in enumerate(counts_of(scan)) if n}
    if bad:
        gate["cves"] = [f.as_json() for f in bad[:CVES_SHOWN]]
    return gate


# --- manifests and reviews, with facts ------------------------------------------------------------

# (group, kind) -> where the template is, of the workloads that the gate judges
WORKLOADS = {
    ("apps", "Deployment"): ["spec", "template"], ("apps", "ReplicaSet"): ["spec", "template"],
    ("apps", "StatefulSet"): ["spec", "template"], ("apps", "DaemonSet"): ["spec", "template"],
    ("", "ReplicationController"): ["spec", "template"], ("batch", "Job"): ["spec", "template"],
    ("batch", "CronJob"): ["spec", "jobTemplate", "spec", "template"],
}


def kind_of(document):
    group, slash, _ = document["apiVersion"].partition("/")
    return (group if slash else "", document["kind"])


def template_of(document, path):
    for name in path:
        document = document.get(name) if document else None
    return document


def pod_of_template(kind, name, template):
    """The Pod that the workload's controller would make, as far as its rules go."""
    group, own_kind = kind
    pod = copy.deepcopy(template)
    metadata = pod.setdefault("metadata", {})
    owner_kind, owner_name = own_kind, name
    if own_kind == "Deployment":
        owner_kind, owner_name = "ReplicaSet", name + "-5d4f"
        metadata["labels"] = dict(metadata.get("labels") or {}, **{"pod-template-hash": "5d4f"})
    elif own_kind == "CronJob":
        owner_kind, owner_name = "Job", name + "-29381230"
    metadata["ownerReferences"] = [{"apiVersion": f"{group}/v1" if group else "v1",
                                    "kind": owner_kind, "name": owner_name, "controller": True}]
    return pod


def is_controlled(policy, thing, user):
    """A controller made it: it says so, and so does who sent it. `user` None: nobody knows."""
    return controller_of(thing) is not None and (
        user is None or user in CONTROLLER_USERS or user in policy.harbor.trusted_controllers)


def plan(policies, assumed_mode, document, facts):
    """The decisions for each image of a manifest, or of what an AdmissionReview is about."""
    if document["kind"] == "AdmissionReview":
        request = document["request"]
        thing, old = request.get("object"), request.get("oldObject")
        namespace, user = request["namespace"], request["userInfo"]["username"]
        kind = (request["kind"].get("group", ""), request["kind"]["kind"])
        operation, sub = request["operation"], request.get("subResource") or ""
    else:
        thing, old, user, operation, sub = document, None, None, "CREATE", ""
        namespace, kind = document["metadata"].get("namespace") or "default", kind_of(document)

    def choose(thing):
        return None if is_protected(policies, namespace) \
            else choose_policy(policies, namespace, labels_of(thing))

    policy = choose(thing) if thing else None
    all_lists = ["initContainers", "containers", "ephemeralContainers"]
    pointer, can_add_secret, workload = "", True, kind in WORKLOADS
    if workload and operation in ("CREATE", "UPDATE") and not sub:
        path = WORKLOADS[kind]
        template, old_template = template_of(thing, path), template_of(old, path)
        if not template:
            return []
        pointer = "/" + "/".join(path)
        policy = choose(template)       # before its controller adds labels
        pod = pod_of_template(kind, thing["metadata"].get("name", ""), template)
        images = container_images(pod, all_lists) + volume_images(pod)
        before = set()
        # what another Policy has judged, or none, has not been judged by this one
        if old_template and not (policy and (is_controlled(policy, old, user)
                                             or choose(old_template) is not policy)):
            before = {identity(policy, i.text) for i in container_images(old_template, all_lists)
                      + volume_images(old_template)}
        images = [i for i in images if identity(policy, i.text) not in before]
    elif kind == ("", "Pod") and (operation, sub) == ("CREATE", ""):
        pod = thing
        images = container_images(pod, all_lists) + volume_images(pod)
    elif kind == ("", "Pod") and (operation, sub) == ("UPDATE", "ephemeralcontainers"):
        pod, can_add_secret = thing, False
        old_names = {c["name"] for c in old["spec"].get("ephemeralContainers") or []}
        images = [i for i in container_images(pod, ["ephemeralContainers"])
                  if i.container not in old_names]
    else:
        return []

    mirror = not workload and is_mirror_pod(pod, user)
    whole = reason_for_whole_pod(policies, policy, namespace, pod, mirror)
    bucket = bucket_of(workload_of(namespace, pod))
    controlled = policy is not None and is_controlled(policy, thing, user)
    has_gate = (policy is not None and policy.findings is not None and policy.mode != "disabled"
                and not mirror and not (workload and controlled))
    decisions = []
    for image in images:
        reason, result = whole, image.text
        if reason is None:
            reason, result = decide_image(policy, image, bucket, pod, can_add_secret)
        early = reason          # before facts
        if reason == "rewritten":
            reason = reason_by_facts(policy, parse_reference(image.text), pod, can_add_secret, facts)
            result = result if reason == "rewritten" else image.text
        decision = {"field": pointer + image.field}
        decision |= {"container": image.container} if image.volume is None \
            else {"volume": image.volume}
        decision |= {"image": image.text, "result": result,
                     "mode": weaker(assumed_mode, policy.mode) if policy else assumed_mode,
                     "rewrite": {"outcome": "rewrite" if reason == "rewritten" else "keep",
                                 "reason": reason}}
        if policy:
            decision |= {"policy": policy.name, "bucket": bucket}
            decision |= renamed(policy, image.text, early)
        gate = judge(policy, image.text, controlled, facts, early == "rewritten") if has_gate else None
        if gate:
            decision["gate"] = gate
        decisions.append(decision)
    return decisions

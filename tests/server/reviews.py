"""AdmissionReviews to send, and what an API server does with the answers."""

import base64
import copy
import itertools
import json

HARBOR = "harbor.example.com"  # of policies/10-harbor.yaml
counter = itertools.count(1)


def container(name="app", image="nginx:1.27", **members):
    return {"name": name, "image": image, **members}


def owner(api_version, kind, name, controller=True):
    return {"apiVersion": api_version, "kind": kind, "name": name, "uid": "0b3c", "controller": controller}


def pod(*containers, name=None, namespace="plain", annotations=None, labels=None, owners=None, metadata=None, **spec):
    """A Pod; images may stand for containers. Each is a workload of its own, unless named."""
    listed = [c if isinstance(c, dict) else container(f"c{i}", c) for i, c in enumerate(containers)]
    own = {"name": name or f"pod-{next(counter)}", "namespace": namespace}
    for key, value in (("annotations", annotations), ("labels", labels), ("ownerReferences", owners)):
        if value is not None:
            own[key] = value
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**own, **(metadata or {})},
            "spec": {"containers": listed, **spec}}


def review(obj, operation="CREATE", old=None, uid=None, sub_resource=None, version="v1", **members):
    """The call of an API server about an object."""
    metadata = (obj or old)["metadata"]
    group, _, version_of = (obj or old)["apiVersion"].rpartition("/")
    request = {"uid": uid or f"705ab4f5-6393-11e8-b7cc-{next(counter):012}",
               "kind": {"group": group, "version": version_of, "kind": (obj or old)["kind"]},
               "resource": {"group": group, "version": version_of, "resource": (obj or old)["kind"].lower() + "s"},
               "name": metadata.get("name", ""), "namespace": metadata.get("namespace", ""), "operation": operation,
               "userInfo": {"username": "admin", "groups": ["system:authenticated"]}, "object": obj, "oldObject": old,
               "dryRun": False}
    if sub_resource:
        request["subResource"] = sub_resource
    return {"kind": "AdmissionReview", "apiVersion": f"admission.k8s.io/{version}", "request": {**request, **members}}


def debug(before, *containers, **how):
    """What `kubectl debug` makes of a Pod: new ephemeral containers."""
    after = copy.deepcopy(before)
    after["spec"].setdefault("ephemeralContainers", []).extend(containers)
    return review(after, "UPDATE", old=before, sub_resource="ephemeralcontainers", **how)


# --- what comes of an answer ---

def check_response(sent, answer):
    """The API server's own checks (VerifyAdmissionResponse) and ours; returns the response."""
    assert answer.status == 200, (answer.status, answer.text)
    body = answer.json()
    assert body.keys() == {"apiVersion", "kind", "response"}, body
    assert body["apiVersion"] == sent["apiVersion"], "the answer must come in the version of the question"
    assert body["kind"] == "AdmissionReview", body
    response = body["response"]
    assert response["uid"] == sent["request"]["uid"], response
    assert response["allowed"] is True, response
    assert ("patch" in response) == ("patchType" in response), "patch and patchType go together"
    assert response.get("patchType", "JSONPatch") == "JSONPatch", response
    assert not response.get("warnings"), f"a rewrite sends no warnings: {response}"
    return response


def patch_of(response):
    """The operations; none where there is no patch. An empty patch would be an error in v1."""
    if "patch" not in response:
        return []
    operations = json.loads(base64.b64decode(response["patch"], validate=True))
    assert isinstance(operations, list) and operations, operations
    return operations


def _walk(document, pointer):
    """The parent and the last part of a JSON Pointer (RFC 6901)."""
    assert pointer.startswith("/"), pointer
    parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer[1:].split("/")]
    for part in parts[:-1]:
        document = document[int(part) if isinstance(document, list) else part]
    return document, parts[-1]


def apply(document, operations):
    """RFC 6902, `add` and `replace`, as strict as the API server's library: what does not fit raises."""
    document = copy.deepcopy(document)
    for operation in operations:
        assert operation.keys() == {"op", "path", "value"}, operation
        parent, last = _walk(document, operation["path"])
        if operation["op"] == "replace":
            parent[int(last) if isinstance(parent, list) else last]  # raises where it is not there
            parent[int(last) if isinstance(parent, list) else last] = operation["value"]
        elif operation["op"] == "add" and isinstance(parent, list):
            at = len(parent) if last == "-" else int(last)
            assert 0 <= at <= len(parent), operation
            parent.insert(at, operation["value"])
        elif operation["op"] == "add":
            assert isinstance(parent, dict), operation
            parent[last] = operation["value"]
        else:
            raise AssertionError(f"only replace and add are safe (docs/contracts.md#patches), not {operation}")
    return document


def mutate(server, sent, path="/mutate/enforce"):
    """Sends a review; returns the response, and the object as the API server would have it afterwards."""
    response = check_response(sent, server.post_again(path, sent))
    return response, apply(sent["request"]["object"], patch_of(response))


def images(obj):
    """{container or volume/NAME: image} of a Pod."""
    spec = obj["spec"]
    found = {c["name"]: c.get("image") for key in ("initContainers", "containers", "ephemeralContainers")
             for c in spec.get(key) or []}
    found.update({"volume/" + v["name"]: (v["image"] or {}).get("reference") for v in spec.get("volumes") or []
                  if "image" in v})
    return found

"""The Harbor of the end-to-end tests: the registry that the node pulls from, and an API beside it that answers what a real
Harbor was recorded to answer. To whoever asks they are one Harbor: it goes away and comes back as a whole.
"""

import dataclasses
import datetime
import hashlib
import http.client
import json
import sys

from harness import HERE, MANIFEST_TYPES, PROJECTS, split_image

sys.path.append(str(HERE.parent / "harbor"))

import fake_harbor as f  # noqa: E402

ACCOUNT_DIRECTORY = "/etc/harbor-pilot/harbor"  # where deploy/ mounts the Secret
NAME = "asked"  # of the Harbor document
UP = f'harborpilot_harbor_up{{harbor="{NAME}"}}'
DOCUMENT = """\
apiVersion: harbor-pilot.io/v1alpha1
kind: Harbor
metadata: {{name: {name}}}
spec:
  host: {host}
  registries: {registries}
  api: {{url: "{url}", credentialsDirectory: {directory}, caFile: {directory}/ca.crt}}
"""
REGISTRIES = {domain: PROJECTS[domain] for domain in ("docker.io", "quay.io")}  # not ghcr.io: Harbor does not serve it

# The recordings: an artifact as the database shows it, and the list of its findings.
SCANS = {
    "critical": (6034, 6059),   # CVE-2099-0001 and -0002 are critical and can be fixed; one High, and lesser ones
    "clean": (6028, 6064),
    "unscanned": (6004, 6015),
}
CRITICAL = ("CVE-2099-0001", "CVE-2099-0002")


def twice_encoded(repository):
    return repository.replace("/", "%252F")


class Harbor:
    def __init__(self, cluster, certificates):
        self.cluster = cluster
        self.certificates = certificates
        self.api = f.FakeHarbor(certificates / "tls.crt", certificates / "tls.key", host=cluster.env["GATEWAY"])
        self.api.answers["manifest"] = f.to_token(self._manifest)
        for domain in REGISTRIES:
            self.set_allowlist(domain)
        self.away = None

    @property
    def document(self):
        return DOCUMENT.format(name=NAME, host=self.cluster.harbor, registries=json.dumps(REGISTRIES), url=self.api.url,
                               directory=ACCOUNT_DIRECTORY)

    @property
    def secret(self):
        """What deploy/ mounts: the account, and who signed the API's certificate."""
        user, password = f.GOOD_ACCOUNT
        return {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth",
                "metadata": {"name": "harbor-pilot-harbor", "namespace": "harbor-pilot"},
                "stringData": {"username": user, "password": password,
                               "ca.crt": (self.certificates / "ca.crt").read_text()}}

    def is_up(self, up=True):
        """Whether all harbor-pilot's Pods think so."""
        return all(self.cluster.metric(pod, UP, None) == (1 if up else 0) for pod in self.cluster.harbor_pilot_pods())

    # ---- going away and coming back ----

    def stop(self):
        """As if its processes had ended: both ports are closed."""
        self.away = "stop"
        self.api.refuse()
        self.cluster.script("registry", "harbor", "stop")

    def hang(self):
        """Both ports accept, and nothing is ever answered."""
        self.away = "hang"
        self.api.hang_all()
        self.cluster.script("registry", "harbor", "hang")

    def come_back(self):
        """The registry first, so that nobody is told of a Harbor that cannot serve."""
        if self.away:
            self.cluster.script("registry", "harbor", {"stop": "start", "hang": "resume"}[self.away])
        self.away = None
        self.api.well()

    def close(self):
        self.come_back()
        self.api.stop()

    # ---- what it has ----

    def _manifest(self, talk):
        """A pull through the proxy finds what the registry has."""
        connection = http.client.HTTPConnection(self.cluster.harbor, timeout=10)
        try:
            connection.request("HEAD", talk.request.target, headers={"Accept": ", ".join(MANIFEST_TYPES)})
            found = connection.getresponse().status == 200
        finally:
            connection.close()
        return (f.SERVED if found else f.NOT_SERVED)(talk)

    def set_cached(self, image):
        """It is in Harbor's database, all its tags."""
        domain, path = split_image(image)
        self.api.images[(REGISTRIES[domain], path.rpartition(":")[0])] = {"artifact": f.PRESENT}

    def set_scan(self, image, scan, finished=None):
        """What the scan of all its tags found: a name of SCANS; finished is when, now by default."""
        domain, path = split_image(image)
        project, (repository, _, tag) = REGISTRIES[domain], path.rpartition(":")
        finished = (finished or datetime.datetime.now(datetime.timezone.utc)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        artifact, findings = map(f.recording, SCANS[scan])
        recorded = json.loads(artifact.body)
        recorded_project, _, recorded_repository = recorded["repository_name"].partition("/")
        names = {recorded["digest"]: "sha256:" + hashlib.sha256(f"{project}/{path}".encode()).hexdigest(),
                 f"/projects/{recorded_project}/repositories/{twice_encoded(recorded_repository)}/":
                     f"/projects/{project}/repositories/{twice_encoded(repository)}/"}

        def of_this_image(answer):
            """The recording, of another image and another day."""
            text = answer.body.decode()
            for old, new in names.items():
                text = text.replace(old, new)
            item = json.loads(text)
            if answer is artifact:
                item["repository_name"] = f"{project}/{repository}"
                item["tags"][0]["name"] = tag
                for overview in item.get("scan_overview", {}).values():
                    overview["start_time"] = overview["end_time"] = finished
            else:
                for report in item.values():
                    report["generated_at"] = finished
            return f.play(dataclasses.replace(answer, body=json.dumps(item).encode()))
        self.api.images[(project, repository)] = {"artifact": of_this_image(artifact), "vulnerabilities": of_this_image(findings)}

    def set_allowlist(self, domain, *ids):
        """The findings that the project of that domain has on its own list: no reason to refuse."""
        answer = f.recording(4023)
        item = json.loads(answer.body)
        item["name"] = REGISTRIES[domain]
        item["cve_allowlist"]["items"] = [{"cve_id": each} for each in ids]  # as in 3060
        item["metadata"]["reuse_sys_cve_allowlist"] = "false"
        self.api.projects[REGISTRIES[domain]] = f.play(dataclasses.replace(answer, body=json.dumps(item).encode()))

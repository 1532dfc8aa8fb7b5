"""HTTP to a Harbor or a registry, as a client that is not ours: one connection a request, no cookies, no redirects."""

import base64
import dataclasses
import http.client
import json
import re
import ssl
import urllib.parse

TIMEOUT = 60
MANIFESTS = ("application/vnd.oci.image.index.v1+json", "application/vnd.oci.image.manifest.v1+json",
             "application/vnd.docker.distribution.manifest.list.v2+json",
             "application/vnd.docker.distribution.manifest.v2+json")
REPORT = "application/vnd.security.vulnerability.report; version=1.1"
OLD_REPORT = "application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0"


@dataclasses.dataclass
class Reply:
    method: str
    url: str
    status: int
    headers: object  # http.client.HTTPMessage: names in any case
    body: bytes

    def json(self):
        return json.loads(self.body)

    def error(self):
        """The code of Harbor's first error."""
        return self.json()["errors"][0]["code"]

    def expect(self, *statuses):
        said = f"{self.method} {self.url}: {self.status}, expected {statuses}: {self.body[:500]!r}"
        assert self.status in statuses, said
        return self


class Web:
    """One place, asked with an account or without."""

    def __init__(self, url, account=None, ca=None):
        self.url = url.rstrip("/")
        self.account = account
        parts = urllib.parse.urlsplit(self.url)
        self.address = (parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))
        self.context = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None

    def ask(self, method, path, body=None, **headers):
        """`path` may be a whole URL of the same place. A body that is no bytes is sent as JSON."""
        path = path.removeprefix(self.url)
        assert path.startswith("/"), f"{path} is not at {self.url}"
        sent = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
        if self.account and "Authorization" not in headers:
            sent["Authorization"] = "Basic " + base64.b64encode(":".join(self.account).encode()).decode()
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        if self.context:
            connection = http.client.HTTPSConnection(*self.address, timeout=TIMEOUT, context=self.context)
        else:
            connection = http.client.HTTPConnection(*self.address, timeout=TIMEOUT)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Reply(method, self.url + path, answer.status, answer.headers, answer.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, **headers)


class Puller:
    """Pulls from one repository as containerd does: HEAD of the tag, then GET of the digest, with a token. A client
    that GETs an index by its tag leaves it without the tag in Harbor (docs/contracts.md#not-there)."""

    def __init__(self, web, repository):
        self.web, self.repository, self.token = web, repository, None

    def _ask(self, method, path, **headers):
        path = f"/v2/{self.repository}/{path}"
        for _ in range(2):
            reply = self.web.ask(method, path, Authorization=self.token and f"Bearer {self.token}",
                                 **headers)
            challenge = dict(re.findall(r'(\w+)="([^"]*)"', reply.headers.get("Www-Authenticate") or ""))
            if reply.status != 401 or self.token or not challenge:
                break
            query = urllib.parse.urlencode({"service": challenge["service"],
                                            "scope": f"repository:{self.repository}:pull"})
            self.token = self.web.get(f"{challenge['realm']}?{query}").expect(200).json()["token"]
        return reply

    def manifest(self, reference, method="GET"):
        return self._ask(method, f"manifests/{reference}", Accept=", ".join(MANIFESTS))

    def digest_of(self, tag):
        return self.manifest(tag, "HEAD").expect(200).headers["Docker-Content-Digest"]

    def pull(self, reference):
        """Everything, of an index every child; returns the digest that the reference stands for."""
        digest = reference if ":" in reference else self.digest_of(reference)
        manifest = self.manifest(digest).expect(200).json()
        for child in manifest.get("manifests", []):
            self.pull(child["digest"])
        for blob in [manifest["config"], *manifest["layers"]] if "layers" in manifest else []:
            self._ask("GET", f"blobs/{blob['digest']}").expect(200)
        return digest

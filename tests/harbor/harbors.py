"""What a test may ask of a Harbor, whichever it is: the fake that replays recordings (recorded.py), or a real one
(real.py). Tests that take the fixture `harbor` run on both: `make test`, and `make test-harbor`.

Images are named by the state in which Harbor shall have them:

    harbor.images("its upstream has it", 3)     three of them, never asked about before; STATES
    harbor.scanned_image("critical")            cached, and scanned as far as its kind says; SCANNED
    harbor.unscanned_image()                    cached, and nobody's but the test's: it may have it scanned"""

from serverlib import wait
from web import OLD_REPORT, REPORT, Web

# The domain of an image, and what the proxy project is like where it is found.
DOMAINS = {"docker.io": "public", "private.example.com": "private", "gated.example.com": "gated",
           "scanned.example.com": "scanned", "missing.example.com": "missing"}
STATES = [
    "in Harbor", "in Harbor, an index", "its upstream has it", "its upstream has it, by digest",
    "its upstream has it, an index",
    "by an index's digest", "in Harbor, by its index's digest",
    "its upstream has no repository", "its upstream has no tag",
    "in Harbor, refused by its pull gate",
    "private, in Harbor", "private, its upstream has it", "private, its upstream has it not", "no such project",
]
ACCOUNTS = ["good", "wrong secret", "disabled"]
# besides them: "counts only", which may not read reports, and "scanning", which may have images scanned

# {kind: the scan_status in the artifact's scan_overview, None where there is no overview}. What a scanner finds in it
# is in scanner_adapter.FINDINGS, by the same name.
SCANNED = {
    "never-scanned": None,
    "clean": "Success",
    "low": "Success",
    "critical": "Success",              # one with a fix and one without
    "critical-fixable": "Success",
    "critical-unfixable": "Success",
    "error": "Error",
    "slow": "Running",
    "index-never-scanned": None,
    "index-half-scanned": None,         # one child of two
    "index-critical": "Success",        # one child of two
    "index-child-failed": "Success",    # the scan of one child of two
}


def split(image):
    """("docker.io", "team/app", "1") of docker.io/team/app:1 or …@sha256:…"""
    domain, _, rest = image.partition("/")
    repository, _, reference = rest.partition("@") if "@" in rest else rest.rpartition(":")
    return domain, repository, reference


def overview_of(artifact):
    """The only scan_overview of an artifact, or None."""
    overviews = artifact.get("scan_overview") or {}
    assert len(overviews) <= 1, overviews
    return overviews.get(REPORT)


class AnyHarbor:
    """`url`, `ca`, `projects` {domain: project} and `accounts` {name: (user, secret)} are set by those that inherit."""

    # where the program shall ask

    def policies(self, account="good", ca=None, without=(), discover=False, **how):
        """A policy file for this Harbor, `without` some domains or with none; its namespaces, and `how`, as in
        conftest."""
        registries = {domain: project for domain, project in self.projects.items() if domain not in without}
        return self.places.write_policies(self.url, ca=ca or self.ca, account=account and self.accounts[account],
                                          registries=None if discover else registries, **how)

    def result(self, image, host):
        """What the image is rewritten to."""
        domain, _, rest = image.partition("/")
        return f"{host}/{self.projects[domain]}/{rest}"

    # what its API says

    def web(self, account="good"):
        return Web(self.url, self.accounts[account], self.ca)

    def artifact_path(self, image):
        domain, repository, reference = split(image)
        return (f"/api/v2.0/projects/{self.projects[domain]}/repositories/{repository.replace('/', '%252F')}"
                f"/artifacts/{reference}")

    def ask_artifact(self, image):
        return self.web().get(self.artifact_path(image) + "?with_scan_overview=true&with_tag=true",
                              X_Accept_Vulnerabilities=f"{REPORT}, {OLD_REPORT}")

    def artifact(self, image):
        return self.ask_artifact(image).expect(200).json()

    def vulnerabilities(self, image):
        return self.web().get(self.artifact_path(image) + "/additions/vulnerabilities",
                              X_Accept_Vulnerabilities=REPORT).expect(200).json()

    def project(self, domain):
        return self.web().get("/api/v2.0/projects/" + self.projects[domain]).expect(200).json()

    def system_allowlist(self):
        return self.web().get("/api/v2.0/system/CVEAllowlist").expect(200).json()

    def await_cached(self, image, patience=1):
        wait(lambda: self.ask_artifact(image).status == 200, f"{image} is in Harbor's API", patience)


"""The fake Harbor behind the fixture `harbor`: each state of an image is what a real one was recorded to answer."""

import contextlib
import itertools
import json
import time
import urllib.parse

import pytest

import fake_harbor as f
from harbors import DOMAINS, SCANNED, AnyHarbor, split
from web import OLD_REPORT, REPORT, Reply

API, HEAD, VULNERABILITIES = "artifact", "manifest", "vulnerabilities"
GATE, GATE_OF_GET, GATED_PROJECT = 7047, 7003, 7001
STATES = {
    "in Harbor": {API: 6004},
    "in Harbor, an index": {API: 6079},
    "its upstream has it": {HEAD: 5025},
    "its upstream has it, by digest": {HEAD: 5025},
    "its upstream has it, an index": {HEAD: 5052},
    "by an index's digest": {HEAD: 5052},
    "in Harbor, by its index's digest": {API: 6080, HEAD: 5052},
    "its upstream has no repository": {},
    "its upstream has no tag": {HEAD: 5031},
    "in Harbor, refused by its pull gate": {API: 7046, HEAD: GATE},
    "private, in Harbor": {API: 6004},
    "private, its upstream has it": {HEAD: 5025},
    "private, its upstream has it not": {},
    "no such project": {API: 4062, HEAD: 5037},
}
# {kind: (the artifact, its vulnerabilities)}
SCANS = {
    "never-scanned": (6004, 6015), "clean": (6028, 6064), "low": (6038, 6065), "critical": (6034, 6059),
    "critical-fixable": (6142, 6143), "critical-unfixable": (6144, 6145), "error": (6042, 6066), "slow": (6030, 6068),
    "index-never-scanned": (6105, 6083), "index-half-scanned": (6110, 6111), "index-critical": (6089, 6091),
    "index-child-failed": (6115, 6119),
}
# {kind of index: for each child (the artifact, its vulnerabilities)}
CHILDREN = {
    "index-half-scanned": ((6109, 6119), None), "index-child-failed": ((6109, 6119), (6118, 6066)),
}
WITHOUT_SCANNER = (7040, 7041)
NO_REPORT, FORBIDDEN = 6015, 6018
# what "critical" answers, by what is accepted
OVERVIEWS = {None: 6051, REPORT: 6052, OLD_REPORT: 6053, f"{REPORT}, {OLD_REPORT}": 6054, "application/nonsense": 6055}
PROJECTS = {"private.example.com": 4024, "gated.example.com": GATED_PROJECT}
ALLOWLISTS = {"empty": 4023, "set": 3060, "expiring": 3062, "expired": 3064, "reusing the system's": 7030}
SYSTEM_ALLOWLIST, NO_SYSTEM_ALLOWLIST, PUSH_EVENT = 3066, 3052, 8029
DOMAIN_OF = {"private": "private.example.com", "in Harbor, refused": "gated.example.com",
             "no such": "missing.example.com"}
numbers = itertools.count(1)


def must_have(number):
    """The recording's file; a test that needs one which is not in the tree is skipped."""
    found = list(f.RECORDINGS.glob(f"{number}-*.http"))
    if not found:
        pytest.skip(f"tests/data/harbor has no recording {number}")
    return found[0]


def play(number):
    must_have(number)
    return f.play(number)


def play_later(number):
    """An allowlist as it was recorded, but that it expires tomorrow: what was the future then is not always."""
    def change(content):
        content.get("cve_allowlist", content)["expires_at"] = int(time.time()) + 86400
    must_have(number)
    return f.play_changed(number, change)


def play_unscanned(number, child):
    """What 6109 says without its overview: a child that was pulled and never scanned."""
    def change(artifact):
        del artifact["scan_overview"]
        artifact["digest"] = child
    must_have(number)
    return f.play_changed(number, change)


class RecordedHarbor(AnyHarbor):
    is_real = False
    version = "recorded"

    def __init__(self, places):
        self.places = places
        self.fake = places.fake()
        self.tell = None
        self.url, self.ca = self.fake.url, places.harbor_certificates.ca
        self.projects = {domain: f"{kind}-proxy" for domain, kind in DOMAINS.items()}
        self.accounts = {"good": f.GOOD_ACCOUNT, "wrong secret": (f.GOOD_ACCOUNT[0], "wrong"),
                         "disabled": ("robot$disabled", "right"), "counts only": f.GOOD_ACCOUNT,
                         "scanning": f.GOOD_ACCOUNT}
        self.fake.answers["scan"] = f.play(FORBIDDEN)
        for domain, project in self.projects.items():
            if domain != "missing.example.com":
                self.fake.projects[project] = f.play(PROJECTS.get(domain, 4023))

    def begin(self):
        pass

    def end(self):
        self.fake.stop()

    def discoverable(self):
        """The domain of what the projects proxy, and which they are: 4079 and 4082 with their names."""
        projects = {p for domain, p in self.projects.items() if domain != "missing.example.com"}
        listed = f.recording(4079).json()
        template = next(p for p in listed if p["name"] == "docker-hub-proxy")
        self.fake.answers["projects"] = f.play(f.recording(4079).with_json([
            {**template, "name": name} for name in sorted(projects)]))
        self.fake.answers["summary"] = play(4082)
        return urllib.parse.urlsplit(f.recording(4082).json()["registry"]["url"]).netloc, projects

    def enable_account(self, enabled):
        """The account named "disabled"."""
        self.fake.another_account = self.accounts["disabled"] if enabled else None

    def _tell(self, image, answers, children=()):
        """`children`: for each of an index (the artifact, its vulnerabilities), or None: nobody has scanned it."""
        domain, repository, _ = split(image)
        place = (self.projects[domain], repository)
        self.fake.images[place] = {kind: play(n) if isinstance(n, int) else n for kind, n in answers.items()}
        if API not in answers or not isinstance(answers[API], int):
            return
        self.fake.images[place].setdefault(VULNERABILITIES, play(NO_REPORT))
        references = json.loads(f.recording(answers[API]).body).get("references") or []
        for reference, numbers in itertools.zip_longest(references, children):
            child = reference["child_digest"]
            self.fake.images[(*place, child)] = {
                API: play(numbers[0]) if numbers else play_unscanned(6109, child),
                VULNERABILITIES: play(numbers[1] if numbers else NO_REPORT)}

    def images(self, state, count=1):
        domain = next((DOMAIN_OF[start] for start in DOMAIN_OF if state.startswith(start)), "docker.io")
        reference = "@sha256:" + "ab" * 32 if "digest" in state else ":1"
        made = [f"{domain}/state/app-{next(numbers)}{reference}" for _ in range(count)]
        for image in made:
            self._tell(image, STATES[state])
        return made

    def pull(self, image):
        self._tell(image, STATES["in Harbor"])
        if self.tell:
            self.tell(image)

    def pull_again(self, image):
        """The answer to the manifest of an image that is cached; only that of the gate was needed so far."""
        assert split(image)[0] == "gated.example.com"
        must_have(GATE_OF_GET)
        answer = f.recording(GATE_OF_GET)
        return Reply("GET", self.url, int(answer.status.split()[0]), dict(answer.headers), answer.body)

    def scanned_image(self, kind):
        assert kind in SCANNED
        image = f"scanned.example.com/{kind}:1"
        self._tell(image, dict(zip((API, VULNERABILITIES), SCANS[kind])), CHILDREN.get(kind, ()))
        return image

    def private_critical(self):
        """In the private project; the account "counts only" may not read its report."""
        image = "private.example.com/critical:1"
        self._tell(image, {API: play(6034), VULNERABILITIES: play(FORBIDDEN)})
        return image

    def unscanned_image(self):
        """POST of its scan makes it clean, which is seen soon."""
        image = f"scanned.example.com/clean-on-demand-{next(numbers)}:1"

        def scan(talk):
            self._tell(image, {API: f.times(1, play(6027), play(6028)), VULNERABILITIES: play(6064), "scan": scan})
            return play(6025)(talk)
        self._tell(image, {API: play(6004), VULNERABILITIES: play(6015), "scan": scan})
        return image

    @contextlib.contextmanager
    def without_scanner(self, image):
        """While it lasts, this image is answered about as if the scanner could not be reached."""
        domain, repository, _ = split(image)
        answers = self.fake.images[self.projects[domain], repository]
        self._tell(image, dict(zip((API, VULNERABILITIES), WITHOUT_SCANNER)))
        yield
        self.fake.images[self.projects[domain], repository] = answers

    def overviews(self, image):
        """The artifact's answer depends on what is accepted from now on."""
        domain, repository, _ = split(image)
        answers = {accepted: play(number) for accepted, number in OVERVIEWS.items()}
        self.fake.images[self.projects[domain], repository][API] = lambda talk: answers[
            talk.request.headers.get("x-accept-vulnerabilities")](talk)

    @contextlib.contextmanager
    def allowlist(self, kind):
        """While it lasts, the project of scanned.example.com has this CVE allowlist: one of ALLOWLISTS."""
        project = self.projects["scanned.example.com"]
        before = self.fake.projects[project]
        self.fake.projects[project] = (play_later if kind == "expiring" else play)(ALLOWLISTS[kind])
        self.fake.answers["allowlist"] = (play_later(SYSTEM_ALLOWLIST) if "system" in kind else
                                          play(NO_SYSTEM_ALLOWLIST))
        yield
        self.fake.projects[project] = before
        del self.fake.answers["allowlist"]

    @contextlib.contextmanager
    def notifying(self, domain, server, secret):
        """While it lasts, the server hears of what is pulled, in a body that Harbor sent. Yields when it did."""
        sent = must_have(PUSH_EVENT).read_bytes().split(b"\n=== RESPONSE ===\n")[0].split(b"\n\n", 1)[1]
        times = []

        def tell(image):
            event = json.loads(sent)
            event["event_data"]["repository"]["repo_full_name"] = f"{self.projects[domain]}/{split(image)[1]}"
            headers = {"Authorization": secret}
            assert server.ask("/harbor/events", json.dumps(event).encode(), headers=headers).status == 200
            times.append(time.monotonic())
        self.tell = tell
        yield times
        self.tell = None

"""A real Harbor behind the same fixture as the fake: the suite makes a registry endpoint, projects, robot accounts and a
scanner there, all with names of its own, and removes them at the end. Its settings are not touched."""

import contextlib
import dataclasses
import os
import secrets
import socket
import sys
import threading
import time
import urllib.parse

from harbors import DOMAINS, SCANNED, AnyHarbor, overview_of, split
from scanner_adapter import Scanner
from serverlib import wait
from upstream import PROGRAMS, Upstream, free_port, program
from web import Puller, Web

PREFIX = "harbor-pilot-test-"
CACHED_WITHIN = 120      # seconds from an image's pull until Harbor's API knows it: 15 to 25 where it is idle
SCANNED_WITHIN = 90
REMOVED_WITHIN = 120
NOTICED_WITHIN = 60
REACHED = "; does Harbor reach this machine? HARBOR_UPSTREAM_ADDRESS is the address at which it shall"
ROWS, MANY = 28, 100     # images of a state: one for each setting, and some; of "its upstream has it"
CHILDREN = {"index-critical": "critical", "index-child-failed": "error"}  # the second child's kind
RIGHTS = [{"resource": "artifact", "action": "read"}, {"resource": "project", "action": "read"},
          {"resource": "repository", "action": "pull"}]  # those that docs/policies.md asks for, and for the gate:
REPORTS, SCANS = {"resource": "artifact-addition", "action": "read"}, {"resource": "scan", "action": "create"}
ON_DEMAND = 4            # images that a test may have scanned
IMAGES = {
    "in Harbor": "docker.io/state/in-harbor:t{i}",
    "in Harbor, an index": "docker.io/state/index-in-harbor:t0",
    "its upstream has it": "docker.io/state/upstream-has-it:t{i}",
    "its upstream has it, by digest": "docker.io/state/upstream-has-it@{digest}",
    "its upstream has it, an index": "docker.io/state/index:t{i}",
    "by an index's digest": "docker.io/state/index@{index}",
    "in Harbor, by its index's digest": "docker.io/state/index-in-harbor@{cached}",
    "its upstream has no repository": "docker.io/state/nowhere-{i}:1",
    "its upstream has no tag": "docker.io/state/upstream-has-no-tag:no-{i}",
    "in Harbor, refused by its pull gate": "gated.example.com/state/gated:t0",
    "private, in Harbor": "private.example.com/state/in-harbor:t0",
    "private, its upstream has it": "private.example.com/state/upstream-has-it:t{i}",
    "private, its upstream has it not": "private.example.com/state/nowhere-{i}:1",
    "no such project": "missing.example.com/state/in-harbor:t{i}",
}


@dataclasses.dataclass
class Settings:
    url: str
    user: str
    password: str
    ca: str
    upstream_address: str

    @classmethod
    def of_environment(cls):
        """HARBOR_URL and the others, as `make test-harbor` is given them."""
        names = ("HARBOR_URL", "HARBOR_USER", "HARBOR_PASSWORD")
        missing = [name for name in names if not os.environ.get(name)]
        if missing:
            raise ValueError(f"{' and '.join(missing)} not given, expected HARBOR_URL=https://… HARBOR_USER=admin "
                             "HARBOR_PASSWORD=… and, where its authority is not a public one, HARBOR_CA=/path/ca.crt")
        url, user, password = (os.environ[name] for name in names)
        address = os.environ.get("HARBOR_UPSTREAM_ADDRESS") or local_address(url)
        try:
            free_port(address)
        except OSError as error:
            raise ValueError(f"HARBOR_UPSTREAM_ADDRESS: {address}: {error.strerror}, expected an address of this machine "
                             "that Harbor can reach") from error
        if not program():
            raise ValueError(f"{PROGRAMS[0]} is not installed, expected it for the upstream (a package of Debian's; its "
                             "service is not needed)")
        return cls(url.rstrip("/"), user, password, os.environ.get("HARBOR_CA") or None, address)


def local_address(url):
    """This machine's address on the way to Harbor. Nothing is sent."""
    parts = urllib.parse.urlsplit(url)
    family, _, _, _, place = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_DGRAM)[0]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(place)
        return sock.getsockname()[0]


class Forward:
    """A port at an address that Harbor can reach, forwarded to one of the loopback. `times`: when somebody came."""

    def __init__(self, address, port):
        self.port, self.times = port, []
        self.listener = socket.create_server((address, 0))
        self.address = f"{address}:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                outer, _ = self.listener.accept()
                self.times.append(time.monotonic())
                inner = socket.create_connection(("127.0.0.1", self.port))
                for source, target in ((outer, inner), (inner, outer)):
                    threading.Thread(target=self._copy, args=(source, target), daemon=True).start()

    @staticmethod
    def _copy(source, target):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


class RealHarbor(AnyHarbor):
    is_real = True

    def __init__(self, places, settings):
        self.places, self.settings = places, settings
        self.url, self.ca = settings.url, settings.ca
        self.name = PREFIX + secrets.token_hex(4)
        self.projects = {domain: f"{self.name}-{kind}" for domain, kind in DOMAINS.items()}
        self.admin = Web(settings.url, (settings.user, settings.password), settings.ca)
        self.undo = contextlib.ExitStack()
        self.accounts = {}
        self.given = {}      # {state: how many images of it}
        self.children = {}   # {kind of index: its children's digests}
        self.scanned = set()
        self.version = None

    # --- its life ---

    def begin(self):
        reply = self.admin.get("/api/v2.0/users/current")
        assert reply.status == 200 and reply.json().get("sysadmin_flag"), \
            f"HARBOR_USER is no administrator of {self.url}: {reply.status} {reply.body[:200]!r}"
        self.version = self.admin.get("/api/v2.0/systeminfo").expect(200).json()["harbor_version"]
        self._say_what_is_left()
        try:
            self._make_everything()
        except BaseException:
            self.end()
            raise

    def end(self):
        self.undo.close()

    def _say_what_is_left(self):
        left = self.admin.get(f"/api/v2.0/projects?page_size=100&q=name%3D~{PREFIX}").expect(200).json()
        if left:
            print(f"left by another run of this suite, or in use by one: {', '.join(p['name'] for p in left)}",
                  file=sys.stderr)

    def _make(self, path, content, what=""):
        """POST; removed at the end. Returns the path of what was made."""
        reply = self.admin.ask("POST", path, content)
        assert reply.status == 201, f"{path}: {reply.status} {reply.body[:300]!r}{what}"
        self.undo.callback(self._remove, reply.headers["Location"])
        return reply.headers["Location"]

    def _remove(self, path):
        """What Harbor is still at work with it refuses to remove: asked again."""
        def remove():
            reply = self.admin.ask("DELETE", path)
            assert reply.status in (200, 404, 412), f"{path} cannot be removed: {reply.status} {reply.body[:300]!r}"
            return reply.status != 412
        wait(remove, f"{path} is removed", REMOVED_WITHIN)

    def _make_everything(self):
        address = self.settings.upstream_address
        self.upstream = Upstream(address)
        self.undo.callback(self.upstream.stop)
        self.scanner = Scanner(address)
        self.undo.callback(self.scanner.stop)
        self._push_images()
        registry = self._make("/api/v2.0/registries", {
            "name": self.name, "type": "docker-registry", "url": self.upstream.url, "insecure": True}, REACHED)
        self.scanner_path = self._make_scanner()
        for domain, kind in DOMAINS.items():
            if kind != "missing":
                self._make_project(domain, int(registry.rpartition("/")[2]), public=kind != "private",
                                   prevent_vul=kind == "gated")
        self._make_accounts()
        self._pull_what_must_be_cached()

    def _make_scanner(self):
        return self._make("/api/v2.0/scanners", {
            "name": self.name, "url": self.scanner.url,
            "description": "A stand-in of harbor-pilot's tests: it scans nothing.",
            "use_internal_addr": False, "skip_certVerify": False}, REACHED)

    def _make_project(self, domain, registry, public, prevent_vul):
        name = self.projects[domain]
        self.admin.ask("POST", "/api/v2.0/projects", {
            "project_name": name, "registry_id": registry, "storage_limit": -1,
            "metadata": {"public": str(public).lower(), "prevent_vul": str(prevent_vul).lower(),
                         "severity": "critical", "auto_scan": "false"}}).expect(201)
        self.undo.callback(self._remove_project, name)
        number = self.admin.get(f"/api/v2.0/projects/{name}").expect(200).json()["project_id"]
        self.admin.ask("PUT", f"/api/v2.0/projects/{number}/scanner",
                       {"uuid": self.scanner_path.rpartition("/")[2]}).expect(200)

    def _remove_project(self, name):
        """What is still being cached comes back after it is removed: so more than once."""
        def is_gone():
            repositories = self.admin.get(f"/api/v2.0/projects/{name}/repositories?page_size=100")
            for repository in repositories.json() if repositories.status == 200 else []:
                path = repository["name"].partition("/")[2].replace("/", "%252F")
                self.admin.ask("DELETE", f"/api/v2.0/projects/{name}/repositories/{path}")
            return self.admin.ask("DELETE", f"/api/v2.0/projects/{name}").status in (200, 403, 404)
        wait(is_gone, f"the project {name} is removed", REMOVED_WITHIN)

    def _make_robot(self, name, projects, rights):
        reply = self.admin.ask("POST", "/api/v2.0/robots", {
            "name": name, "level": "system", "duration": -1, "disable": False,
            "description": "of harbor-pilot's tests",
            "permissions": [{"kind": "project", "namespace": project, "access": rights} for project in projects]})
        path = reply.expect(201).headers["Location"]
        self.undo.callback(self._remove, path)
        made = reply.json()
        return path, (made["name"], made["secret"])

    def _make_accounts(self):
        projects = [name for domain, name in self.projects.items() if DOMAINS[domain] != "missing"]
        _, self.accounts["good"] = self._make_robot(self.name, projects, [*RIGHTS, REPORTS])
        self.accounts["wrong secret"] = (self.accounts["good"][0], "wrong")
        self.disabled_robot, self.accounts["disabled"] = self._make_robot(self.name + "-disabled", projects, RIGHTS)
        _, self.accounts["counts only"] = self._make_robot(self.name + "-counts", projects, RIGHTS)
        _, self.accounts["scanning"] = self._make_robot(self.name + "-scanning", projects, [*RIGHTS, REPORTS, SCANS])
        self.enable_account(False)

    def enable_account(self, enabled):
        """The account named "disabled"."""
        robot = self.admin.get(self.disabled_robot).expect(200).json()
        self.admin.ask("PUT", self.disabled_robot, {**robot, "disable": not enabled}).expect(200)

    def discoverable(self):
        """The domain of what the projects proxy, and which they are."""
        return (urllib.parse.urlsplit(self.upstream.url).netloc,
                {project for domain, project in self.projects.items() if DOMAINS[domain] != "missing"})

    # --- images ---

    def _push_images(self):
        """What the upstream has: each state's repository with tags enough for a test of every setting."""
        tags = [f"t{i}" for i in range(ROWS)]
        for repository in ("state/in-harbor", "state/upstream-has-no-tag"):
            self.upstream.push(repository, tags)
        self.digests = [self.upstream.push("state/upstream-has-it", [f"t{i}"])["digest"] for i in range(MANY)]
        self.upstream.push("state/gated", ["t0"])
        for i in range(ON_DEMAND):
            self.upstream.push(f"clean-on-demand-{i}", ["1"])
        self.upstream.push_index("state/index", tags)
        self.indexes = [self.upstream.push_index("state/index")[0]["digest"] for _ in range(ROWS)]
        self.cached_index = self.upstream.push_index("state/index-in-harbor", ["t0"])[0]["digest"]
        for kind in SCANNED:
            if kind.startswith("index"):
                self.children[kind] = self.upstream.push_index(kind, ["1"])[1]
                self.scanner.kinds[self.children[kind][1]] = CHILDREN.get(kind, "clean")
            else:
                self.upstream.push(kind, ["1"])

    def _pull_what_must_be_cached(self):
        """All at once, at the beginning: Harbor takes its time."""
        puller = self.puller("docker.io", "state/in-harbor")
        for i in range(ROWS):
            puller.digest_of(f"t{i}")
        self.pulled = ["docker.io/state/in-harbor:t0", "docker.io/state/index-in-harbor:t0",
                       "private.example.com/state/in-harbor:t0", "gated.example.com/state/gated:t0",
                       "private.example.com/critical:1",
                       *(f"scanned.example.com/{kind}:1" for kind in SCANNED),
                       *(f"scanned.example.com/clean-on-demand-{i}:1" for i in range(ON_DEMAND))]
        for image in self.pulled:
            self.pull(image)

    def puller(self, domain, repository):
        return Puller(self.web(), f"{self.projects[domain]}/{repository}")

    def pull(self, image):
        """As containerd does, all children of an index. Returns the digest."""
        domain, repository, reference = split(image)
        return self.puller(domain, repository).pull(reference)

    def pull_again(self, image):
        """The answer to the manifest of an image that is cached."""
        domain, repository, reference = split(image)
        return self.puller(domain, repository).manifest(reference)

    def images(self, state, count=1):
        """So many images, each in this state and never asked about before."""
        first = self.given.get(state, 0)
        self.given[state] = first + count
        made = [IMAGES[state].format(i=i, digest=self.digests[-1 - i], index=self.indexes[i % ROWS],
                                     cached=self.cached_index)
                for i in range(first, first + count)]
        cached = {"in Harbor, by its index's digest": ["docker.io/state/index-in-harbor:t0"]}
        for image in cached.get(state, made if "in Harbor" in state else []):
            self.await_cached(image, CACHED_WITHIN)
        return made

    # --- allowlists ---

    @contextlib.contextmanager
    def allowlist(self, kind):
        """While it lasts, the project of scanned.example.com has this CVE allowlist."""
        items, later = ["CVE-2000-0010"], int(time.time()) + 86400
        contents = {"empty": ([], None, False), "set": (items, None, False), "expiring": (items, later, False),
                    "expired": (items, later - 2 * 86400, False),
                    "reusing the system's": (items, later, True)}
        self._set_allowlist(*contents[kind])
        try:
            yield
        finally:
            self._set_allowlist(*contents["empty"])

    def _set_allowlist(self, cves, expires_at, reuse_system):
        content = {"items": [{"cve_id": cve} for cve in cves]}
        if expires_at:
            content["expires_at"] = expires_at
        self.admin.ask("PUT", "/api/v2.0/projects/" + self.projects["scanned.example.com"], {
            "metadata": {"reuse_sys_cve_allowlist": str(reuse_system).lower()}, "cve_allowlist": content}).expect(200)

    # --- scans ---

    def scanned_image(self, kind):
        """An image of a kind of SCANNED, cached, and scanned as far as the kind says."""
        image, wanted = f"scanned.example.com/{kind}:1", SCANNED[kind]
        self.await_cached(image, CACHED_WITHIN)
        if kind in self.scanned:
            return image
        part, status = image, wanted
        if kind == "index-half-scanned":
            part, status = f"scanned.example.com/{kind}@{self.children[kind][0]}", "Success"
        if status:
            self._scan(part, status)
        if status != "Running":  # it does not stay so
            self.scanned.add(kind)
        return image

    def private_critical(self):
        image = "private.example.com/critical:1"
        self.await_cached(image, CACHED_WITHIN)
        self._scan(image, "Success")
        return image

    def unscanned_image(self):
        """Cached and not scanned; the scanner finds nothing in it."""
        first = self.given.get("on demand", 0)
        self.given["on demand"] = first + 1
        image = f"scanned.example.com/clean-on-demand-{first}:1"
        self.await_cached(image, CACHED_WITHIN)
        return image

    @contextlib.contextmanager
    def without_scanner(self, image):
        """While it lasts, the scanner cannot be reached, and Harbor knows: it looks every 30 s. `image`: scanned."""
        self.scanner.stop()
        try:
            wait(lambda: not overview_of(self.artifact(image)), "Harbor sees that its scanner is away", NOTICED_WITHIN)
            yield
        finally:
            self.scanner.start()
            wait(lambda: overview_of(self.artifact(image)), "Harbor sees that its scanner is back", NOTICED_WITHIN)

    def overviews(self, image):
        """A real Harbor heeds what is accepted."""

    def _scan(self, image, status):
        """As the administrator: the program's account needs no such right."""
        self.admin.ask("POST", self.artifact_path(image) + "/scan", {"scan_type": "vulnerability"}).expect(202, 409)
        wait(lambda: (overview_of(self.artifact(image)) or {}).get("scan_status") == status, f"{image}: {status}",
             SCANNED_WITHIN)

    # --- notifications ---

    @contextlib.contextmanager
    def notifying(self, domain, server, secret):
        """While it lasts, Harbor tells the server what comes into a project, through a port of ours that Harbor can
        reach. Yields the times when it did. What was pulled at the beginning is waited for: it is no news then."""
        for image in self.pulled:
            if split(image)[0] == domain:
                self.await_cached(image, CACHED_WITHIN)
        with Forward(self.settings.upstream_address, server.port) as forward:
            path = self._make(f"/api/v2.0/projects/{self.projects[domain]}/webhook/policies", {
                "name": self.name, "enabled": True, "event_types": ["PUSH_ARTIFACT"],
                "targets": [{"type": "http", "address": f"https://{forward.address}/harbor/events",
                             "auth_header": secret, "skip_cert_verify": True, "payload_format": "Default"}]})
            yield forward.times
            self._remove(path)

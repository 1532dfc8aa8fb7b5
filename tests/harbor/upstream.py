"""A registry with small images, for a Harbor to proxy: the reference implementation, where Harbor can reach it."""

import gzip
import hashlib
import io
import json
import pathlib
import secrets
import shutil
import socket
import subprocess
import tarfile
import tempfile

from serverlib import wait
from web import Web

PROGRAMS = ("docker-registry", "registry")  # as Debian calls it, and as its makers do
CONFIG = """\
version: 0.1
log: {{accesslog: {{disabled: true}}, level: warn}}
storage: {{filesystem: {{rootdirectory: "{directory}/data"}}}}
http: {{addr: "{address}:{port}"}}
"""


def free_port(address):
    with socket.create_server((address, 0)) as held:
        return held.getsockname()[1]


def program():
    """The registry's, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def digest_of(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


class Upstream:
    def __init__(self, address):
        self.directory = tempfile.TemporaryDirectory(prefix="harbor-pilot-upstream-", ignore_cleanup_errors=True)
        port = free_port(address)
        config = pathlib.Path(self.directory.name) / "config.yml"
        config.write_text(CONFIG.format(directory=self.directory.name, address=address, port=port))
        self.url = f"http://{address}:{port}"
        self.web = Web(self.url)
        self.log = open(config.with_name("log"), "wb")
        self.process = subprocess.Popen([program(), "serve", config], stdin=subprocess.DEVNULL, stdout=self.log,
                                        stderr=subprocess.STDOUT)
        wait(self._answers, f"the registry answers at {self.url}")

    def _answers(self):
        assert self.process.poll() is None, pathlib.Path(self.log.name).read_text()
        try:
            return self.web.get("/v2/").status == 200
        except OSError:
            return False

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()
        self.directory.cleanup()

    def _push_blob(self, repository, media_type, content):
        place = self.web.ask("POST", f"/v2/{repository}/blobs/uploads/").expect(202).headers["Location"]
        digest = digest_of(content)
        self.web.ask("PUT", f"{place}{'&' if '?' in place else '?'}digest={digest}", content,
                     Content_Type="application/octet-stream").expect(201)
        return {"mediaType": media_type, "size": len(content), "digest": digest}

    def _push_manifest(self, repository, tags, manifest):
        content = json.dumps(manifest).encode()
        digest = digest_of(content)
        for reference in tags or [digest]:
            self.web.ask("PUT", f"/v2/{repository}/manifests/{reference}", content,
                         Content_Type=manifest["mediaType"]).expect(201)
        return {"mediaType": manifest["mediaType"], "size": len(content), "digest": digest}

    def push(self, repository, tags=(), architecture="amd64"):
        """An image like no other, of one small layer, under so many tags; returns its descriptor."""
        layer = io.BytesIO()
        with tarfile.open(fileobj=layer, mode="w") as archive:
            text = secrets.token_hex(16).encode()
            member = tarfile.TarInfo("etc/harbor-pilot-test")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        config = {"architecture": architecture, "os": "linux", "config": {}, "created": "2026-01-02T15:04:05Z",
                  "rootfs": {"type": "layers", "diff_ids": [digest_of(layer.getvalue())]}}
        return self._push_manifest(repository, tags, {
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": self._push_blob(repository, "application/vnd.oci.image.config.v1+json",
                                      json.dumps(config).encode()),
            "layers": [self._push_blob(repository, "application/vnd.oci.image.layer.v1.tar+gzip",
                                       gzip.compress(layer.getvalue(), mtime=0))]})

    def push_index(self, repository, tags=()):
        """An image for two architectures; returns its descriptor, and its children's digests."""
        children = [{**self.push(repository, architecture=architecture),
                     "platform": {"architecture": architecture, "os": "linux"}} for architecture in ("amd64", "arm64")]
        index = self._push_manifest(repository, tags, {"schemaVersion": 2, "manifests": children,
                                                      "mediaType": "application/vnd.oci.image.index.v1+json"})
        return index, [child["digest"] for child in children]

"""An API server for what the real one cannot be made to do on demand, and a `kubectl` that leads to it. Pods only. What it does
when nothing is asked of it is checked against the real one by tests/e2e/test_rescue.py."""

import copy
import http.server
import json
import pathlib
import queue
import re
import ssl
import sys
import threading
import urllib.parse

# `kubectl proxy --unix-socket=…`: carries bytes from the socket to the API server, and writes down how it was called.
KUBECTL = """\
#!{python} -IS
import os, socket, sys, threading
with open("{calls}", "a") as calls:
    print(os.getpid(), *sys.argv[1:], file=calls)
if os.path.exists("{broken}"):
    sys.exit("error: " + open("{broken}").read())
path = next(a.partition("=")[2] for a in sys.argv if a.startswith("--unix-socket="))
listening = socket.socket(socket.AF_UNIX)
listening.bind(path)
listening.listen(64)
def carry(source, sink):
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        sink.close()
while True:
    near = listening.accept()[0]
    try:
        far = socket.create_connection(("127.0.0.1", {port}))
    except OSError as error:
        text = f"dial tcp: {{error}}".encode()
        if near.recv(65536):
            near.sendall(b"HTTP/1.1 500 Internal Server Error\\r\\nContent-Type: text/plain\\r\\nContent-Length: %d\\r\\n\\r\\n%s"
                         % (len(text), text))
        near.close()
        continue
    threading.Thread(target=carry, args=(near, far), daemon=True).start()
    threading.Thread(target=carry, args=(far, near), daemon=True).start()
"""


def status(code, reason, message):
    return code, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message}


def apply_patch(item, operations):
    """RFC 6902 as evanphx/json-patch v4 does it: a member that is not there is equal to null."""
    item = copy.deepcopy(item)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        at = item
        for part in parents:
            at = at[int(part)] if isinstance(at, list) else at.get(part, {})
        last = int(last) if isinstance(at, list) else last
        if operation["op"] == "test":
            found = at[last] if isinstance(at, list) else at.get(last)
            if found != operation["value"]:
                return None
        else:
            assert operation["op"] == "add" or last in at or isinstance(at, list), operation
            at[last] = operation["value"]
    return item


class FakeApi:
    def __init__(self, directory, certificates=None):
        """With a directory of `certs init` it speaks TLS, as to a Pod."""
        self.pods, self.version = {}, 1
        self.requests = []     # (method, path, query, headers, body)
        self.interfere = []    # called with a Request; a (code, body[, headers]) in place of an answer
        self.events = []
        self.watches = []
        self.initial_events = True  # whether it has WatchList
        self.lock = threading.RLock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                outer.answer(self)
            do_GET = do_PATCH = do_POST = do_DELETE = answer

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, *_):
                pass  # a client that went away
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        if certificates:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificates / "tls.crt", certificates / "tls.key")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.directory = pathlib.Path(directory)
        self.calls = self.directory / "calls"
        self.broken = self.directory / "broken"
        self.tools = self.directory / "bin"
        self.tools.mkdir()
        kubectl = self.tools / "kubectl"
        kubectl.write_text(KUBECTL.format(python=sys.executable, calls=self.calls, broken=self.broken,
                                          port=self.server.server_port))
        kubectl.chmod(0o755)

    def close(self):
        for watch in self.watches:
            watch.put(None)
        self.server.shutdown()
        self.server.server_close()

    def called(self):
        """(pid, arguments) of each kubectl."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        return [(int(pid), arguments) for pid, *arguments in map(str.split, lines)]

    # ---- the Pods ----

    def put(self, item):
        with self.lock:
            self.version += 1
            item = copy.deepcopy(item)
            metadata = item["metadata"]
            metadata["resourceVersion"] = str(self.version)
            metadata.setdefault("uid", f"uid-{metadata['name']}")
            key = metadata["namespace"], metadata["name"]
            kind = "MODIFIED" if key in self.pods else "ADDED"
            self.pods[key] = item
            self.tell(kind, item)
            return item

    def delete(self, namespace, name):
        with self.lock:
            self.tell("DELETED", self.pods.pop((namespace, name)))

    def tell(self, kind, item):
        for watch in self.watches:
            watch.put({"type": kind, "object": {"kind": "Pod", "apiVersion": "v1", **item}})

    def changes(self):
        """What was asked that changes Pods."""
        return [(method, path, json.loads(body)) for method, path, _, _, body in self.requests
                if method in ("PATCH", "DELETE")]

    # ---- answering ----

    def answer(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        request = handler.command, url.path, query, dict(handler.headers), body
        self.requests.append(request)
        for interfere in list(self.interfere):
            answer = interfere(*request)
            if answer:
                self.send(handler, *answer)
                return
        if query.get("watch") == "true":
            self.stream(handler, url.path, query)
        else:
            self.send(handler, *self.decide(handler.command, url.path, query, body))

    def send(self, handler, code, body, headers=()):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        handler.send_response(code)
        handler.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
        handler.send_header("Content-Length", str(len(data)))
        for name, value in dict(headers).items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(data)

    def selected(self, path, query):
        namespace = re.fullmatch(r"/api/v1/(?:namespaces/([^/]+)/)?pods", path)
        assert namespace, path
        name = re.fullmatch(r"metadata\.name=(.*)", query.get("fieldSelector", ""))
        return [item for (space, pod), item in sorted(self.pods.items())
                if namespace[1] in (None, space) and (not name or name[1] == pod)]

    def decide(self, method, path, query, body):
        with self.lock:
            if method == "POST":
                self.events.append(json.loads(body))
                return 201, self.events[-1]
            if method == "GET":
                items = self.selected(path, query)
                at = int(query.get("continue", "0"))
                end = at + int(query.get("limit", "1000000"))
                metadata = {"resourceVersion": str(self.version)}
                if end < len(items):
                    metadata["continue"] = str(end)
                return 200, {"kind": "PodList", "apiVersion": "v1", "metadata": metadata, "items": items[at:end]}
            key = tuple(re.fullmatch(r"/api/v1/namespaces/([^/]+)/pods/([^/]+)", path).groups())
            if key not in self.pods:
                return status(404, "NotFound", f'pods "{key[1]}" not found')
            item = self.pods[key]
            if method == "DELETE":
                wanted = json.loads(body)["preconditions"]
                if any(item["metadata"][name] != value for name, value in wanted.items()):
                    return status(409, "Conflict", "the precondition does not hold")
                self.delete(*key)
                return 200, item
            patched = apply_patch(item, json.loads(body))
            if not patched:
                return status(422, "Invalid", "the server rejected our request due to an error in our request")
            return 200, self.put(patched)

    # ---- watching ----

    def stream(self, handler, path, query):
        initial = query.get("sendInitialEvents") == "true"
        if initial and not self.initial_events:
            self.send(handler, *status(422, "Invalid", "sendInitialEvents is forbidden for watch unless the WatchList "
                                                       "feature gate is enabled"))
            return
        watch = queue.Queue()
        with self.lock:
            if initial:
                for item in self.selected(path, {}):
                    watch.put({"type": "ADDED", "object": item})
                watch.put(self.bookmark({"k8s.io/initial-events-end": "true"}))
            self.watches.append(watch)
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        while (event := watch.get()) is not None:
            data = (json.dumps(event) + "\n").encode()
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")
        with self.lock:
            self.watches.remove(watch)

    def bookmark(self, annotations=None):
        return {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {
            "resourceVersion": str(self.version), "annotations": annotations or {}}}}

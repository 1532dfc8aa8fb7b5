"""What an attacker's Pods do, as a process of its own: `attackers.py '{"kind": …}'`. Loopback only, bounded in count and
time; one line of JSON at the end says what was done."""

import json
import os
import random
import resource
import select
import socket
import ssl
import sys
import threading
import time

LOOPBACK = "127."


def context():
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def raise_file_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def post(path, body, length=None, headers=""):
    return (f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n{headers}"
            f"Content-Length: {len(body) if length is None else length}\r\n\r\n").encode() + body


class Holder:
    """One address: it opens connections at a rate, keeps what is not taken from it, and uses some now and then."""

    def __init__(self, order, address, tls):
        self.order, self.address, self.tls = order, address, tls
        self.held, self.done = [], dict(opened=0, refused=0, lost=0, posted=0)

    def open(self):
        sock = socket.create_connection(("127.0.0.1", self.order["port"]), 3, source_address=(self.address, 0))
        try:
            if self.tls:
                sock = self.tls.wrap_socket(sock)
        except OSError:
            sock.close()
            raise
        return sock

    def prune(self):
        """Forgets what the other side has closed."""
        poll = select.poll()
        by_number = {sock.fileno(): sock for sock, _ in self.held}
        for number in by_number:
            poll.register(number, select.POLLIN)
        gone = set()
        for number, _ in poll.poll(0):
            by_number[number].settimeout(0.05)
            try:
                alive = by_number[number].recv(65536) != b""  # an answer that nobody waited for
            except TimeoutError:
                alive = True
            except OSError:
                alive = False
            if not alive:
                by_number[number].close()
                gone.add(number)
        self.held = [(sock, uses) for sock, uses in self.held if sock.fileno() >= 0]
        self.done["lost"] += len(gone)

    def use(self):
        """A request, of which the answer is read at the next prune."""
        users = [sock for sock, uses in self.held if uses]
        if not users or not self.order.get("request"):
            return
        sock = random.choice(users)
        sock.settimeout(0.5)
        try:
            sock.sendall(self.order["request"].encode())
            self.done["posted"] += 1
        except OSError:
            pass

    def run(self, until, each, count):
        due, turn = time.monotonic(), 0
        while (now := time.monotonic()) < until:
            if self.done["opened"] + self.done["refused"] < count:
                try:
                    sock = self.open()
                    self.held.append((sock, turn % 2 == 0))
                    first = self.order.get("first")
                    if first:
                        sock.sendall(first.encode())
                    self.done["opened"] += 1
                except OSError:
                    self.done["refused"] += 1
            turn += 1
            self.use()
            if turn % 20 == 0:
                self.prune()
            due = max(due + each, now - each)
            time.sleep(max(0, min(due, until) - time.monotonic()))


def hold(order):
    """`count` connections within `seconds` from `addresses`; every second one sends `request` now and then. `tls` or not;
    `first` is sent at once, and never more. It holds on for `hold` more seconds."""
    tls = context() if order.get("tls", True) else None
    until = time.monotonic() + order["seconds"] + order.get("hold", 0)
    addresses = order["addresses"]
    assert all(address.startswith(LOOPBACK) for address in addresses)
    holders = [Holder(order, address, tls) for address in addresses]
    count = order["count"] // len(addresses)
    threads = [threading.Thread(target=holder.run, args=(until, order["seconds"] / count, count)) for holder in holders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = {key: sum(holder.done[key] for holder in holders) for key in holders[0].done}
    return {**total, "held": sum(len(holder.held) for holder in holders)}


# --- memory ---

BODY_MOST = 7 * 1024 * 1024


REQUEST = ('{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE",'
           '"kind":{"group":"","version":"v1","kind":"Pod"},"namespace":"plain",')


def review(metadata="{}", spec="{}", before=""):
    return f'{REQUEST}"object":{{{before}"metadata":{metadata},"spec":{spec}}}}}}}'.encode()


def filled(make, item, size=BODY_MOST):
    """`make` of as many items as fit into a body."""
    room = size - len(make("")) - len(item)
    return make(",".join([item] * (room // (len(item) + 1))))


def change():
    """A Deployment whose 4,096 images become 4,096 others: each is looked for among those before."""
    def deployment(tag):
        containers = ",".join(f'{{"name":"c{n}","image":"docker.io/org/image-{n}:{tag}"}}' for n in range(4096))
        return '{"metadata":{"name":"d"},"spec":{"template":{"spec":{"containers":[' + containers + "]}}}}"
    request = REQUEST.replace('"CREATE"', '"UPDATE"').replace('{"group":"","version":"v1","kind":"Pod"}',
                                                              '{"group":"apps","version":"v1","kind":"Deployment"}')
    return f'{request}"object":{deployment("v2")},"oldObject":{deployment("v1")}}}}}'.encode()


def bodies():
    """Name: the bytes to send. A body that is cut by its last byte is never complete."""
    images = ",".join(f'{{"name":"c{n}","image":"registry.k8s.io/some/where/image-{n}:v1.2.3"}}' for n in range(4096))
    metadata = '"metadata":{"annotations":{' + ",".join(f'"k{n}":""' for n in range(2000)) + "}}"
    spec = '"spec":{"containers":[' + ",".join(['{"image":"a"}'] * 4096) + "]}"
    none = ",".join(f'{{"name":"c{n}","image":"' + '\\"' * 700 + '"}' for n in range(4096))
    return {
        "objects": post("/mutate/enforce", filled(lambda text: (REQUEST + text + "}}").encode(), '"object":{%s}' % spec)),
        "images that are none": post("/validate/enforce", review(spec='{"containers":[' + none + "]}")),
        "changes": post("/validate/enforce", change()),
        "large, not complete": post("/mutate/enforce", b" " * (BODY_MOST - 1), BODY_MOST),
        "small, not complete": post("/mutate/enforce", b" " * (256 * 1024 - 1), 256 * 1024),
        "announced": post("/mutate/enforce", b"", 64 * 1024),
        "pull secrets": post("/mutate/enforce", filled(lambda text: review(spec='{"imagePullSecrets":[' + text + "]}"), "{}")),
        "pull secrets by name": post("/mutate/enforce", filled(
            lambda text: review(spec='{"imagePullSecrets":[' + text + "]}"), '{"name":"\\n"}')),
        "annotations": post("/mutate/enforce", filled(
            lambda text: review(metadata='{"annotations":{' + text + "}}"), '"\\n":""')),
        "metadata again and again": post("/mutate/enforce", filled(
            lambda text: review(before=text + "," if text else ""), metadata)),
        "owners": post("/mutate/enforce", filled(
            lambda text: review(metadata='{"ownerReferences":[' + text + "]}"), '{"name":"\\n","kind":"\\n"}')),
        "one name again and again": post("/mutate/enforce", filled(
            lambda text: review(metadata="{" + text + "}"), '"name":"\\n"')),
        "answers that nobody reads": post("/mutate/enforce", review(spec='{"containers":[' + images + "]}")) * 20,
    }


def memory(order):
    """Everything that asks for memory, at once and again and again, by some addresses."""
    tls = context()
    made = {name: body for name, body in bodies().items() if name in (order.get("names") or [name])}
    sent, lock = dict.fromkeys(made, 0), threading.Lock()
    until = time.monotonic() + order["seconds"]

    def run(address, number):
        turn, held, names = number, [], list(made)
        while time.monotonic() < until:
            name = names[turn % len(names)]
            turn += 1
            try:
                sock = socket.create_connection(("127.0.0.1", order["port"]), 3, source_address=(address, 0))
                sock = tls.wrap_socket(sock)
                sock.settimeout(1)
                held.append(sock)
                with lock:
                    sent[name] += 1
                sock.sendall(made[name])
            except OSError:
                pass
            if len(held) > 120:
                held.pop(0).close()
    addresses = order["addresses"] * order.get("times", 1)
    threads = [threading.Thread(target=run, args=(address, n)) for n, address in enumerate(addresses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


KINDS = {"hold": hold, "memory": memory}

if __name__ == "__main__":
    os.nice(int(os.environ.get("ATTACKERS_NICE", "10")))  # the victim and the API server are other machines
    raise_file_limit()
    given = json.loads(sys.argv[1])
    print(json.dumps(KINDS[given.pop("kind")](given)), flush=True)

"""Sends reviews, and says what became of each image."""

import collections
import dataclasses
import itertools
import json
import threading
import time

from conftest import HOST
from reviews import apply, check_response, images, patch_of, pod, review
from serverlib import select

tags = itertools.count(1)


@dataclasses.dataclass
class Outcome:
    image: str       # what the Pod would carry
    decision: dict   # the audit annotation's, or None
    seconds: float

    @property
    def moved(self):
        return self.image.startswith(HOST + "/")


def make_review(image, namespace, dry_run=False, **how):
    return review(pod(image, namespace=namespace, **how), dryRun=dry_run)


class Asker:
    """A connection of its own."""

    def __init__(self, server):
        self.connection = server.connect()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.connection.close()

    def ask(self, image, namespace="servable-keep", mode="enforce", dry_run=False, timeout="2s", **how):
        sent = make_review(image, namespace, dry_run, **how)
        began = time.monotonic()
        answer = self.connection.post(f"/mutate/{mode}?timeout={timeout}", sent)
        seconds = time.monotonic() - began
        response = check_response(sent, answer)
        changed = apply(sent["request"]["object"], patch_of(response))
        annotation = response.get("auditAnnotations", {}).get("image-c0")
        return Outcome(images(changed)["c0"], annotation and json.loads(annotation), seconds)


def ask(server, image, *args, **how):
    with Asker(server) as asker:
        return asker.ask(image, *args, **how)


def in_parallel(work, count):
    """Calls work(i) in so many threads; returns the results, raises the first failure."""
    results, failures = [None] * count, []

    def run(i):
        try:
            results[i] = work(i)
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=run, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    if failures:
        raise failures[0]
    return results


def reasons(server):
    """{(policy, mode, reason): count} of all images so far."""
    counted = collections.Counter()
    for labels, value in select(server.metrics(), "harborpilot_images_total"):
        counted[labels["policy"], labels["mode"], labels["reason"]] += int(value)
    return counted


def reason_of(server, image, namespace="servable-keep", **how):
    """Asks about one image; its reason, by the metrics (nobody else may be asking)."""
    before = reasons(server)
    outcome = ask(server, image, namespace, **how)
    (key,) = (reasons(server) - before).elements()
    assert (key[2] == "rewritten") == (outcome.moved or how.get("mode") == "audit"), (key, outcome)
    return key[2]

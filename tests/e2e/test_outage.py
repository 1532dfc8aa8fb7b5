"""Harbor goes away and comes back, as a whole, while Pods are created. What is created while it is known to be away starts all
the same, from its original image; what is created while it is well runs from Harbor."""

import collections
import dataclasses
import datetime
import itertools
import time

import pytest

from harbor import NAME
from harness import Creator, images, pod, pod_spec, wait, workload

SECONDS = 90            # Pods are created for at least so long
FAULTS = (("stop", 8), ("hang", 9), ("stop", 8))  # and how many seconds Harbor is well before
KNOWN_AWAY = 10         # seconds that it is away, after that is known
MOST = 400              # Pods at most, should the machine be so slow that this takes longer: what the node has room for
STEADY = "steady:1"     # in Harbor's database and asked for once: its Pods are decided from memory
FRESH = "fresh:first"   # each Pod has a tag of its own, which Harbor is asked for
POLICY = f"""\
---
apiVersion: harbor-pilot.io/v1alpha1
kind: Policy
metadata: {{name: outage}}
spec: {{harbor: {NAME}, namespaces: [outage], requireInHarbor: servable, onHarborUnavailable: keep}}
"""


@dataclasses.dataclass
class Outage:
    fault: str
    died: float
    returned: float = None
    late: set = None        # names of Pods created a while after that was known, which ran before Harbor returned
    waiting: dict = None    # name of each Pod that did not run just before Harbor returned -> why
    opened: float = None    # when all of harbor-pilot's Pods knew that it is away, by their logs
    closed: float = None    # when the first of them knew that it is back
    all_closed: float = None


@dataclasses.dataclass
class Created:
    """A Pod, as the API server's audit log has it."""
    name: str
    image: str
    asked: float
    answered: float


def seconds(timestamp):
    return datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def state(item):
    """running, or why not."""
    for container in item["status"].get("containerStatuses", []):
        if "waiting" in container["state"]:
            return container["state"]["waiting"]["reason"]
        if "running" in container["state"]:
            return "running"
    return item["status"].get("phase", "Pending")


def states(cluster):
    return {item["metadata"]["name"]: state(item) for item in cluster.pods("outage")}


def running(found):
    return {name for name, why in found.items() if why == "running"}


def always_pulled(image):
    spec = pod_spec(image)
    spec["containers"][0]["imagePullPolicy"] = "Always"
    return spec


class Load:
    """One Pod a second by itself, and every fourth second a Deployment's."""

    def __init__(self, cluster):
        numbers, names = iter(range(MOST * 3 // 4)), iter(range(MOST // 4))

        def bare():
            number = next(numbers, None)
            if number is None:
                return None
            image = STEADY if number % 2 else f"fresh:{number}"
            return pod(f"bare-{number}", always_pulled(image))

        def deployment():
            number = next(names, None)
            return None if number is None else workload("Deployment", f"web-{number}", always_pulled(STEADY))
        self.creators = [Creator(cluster, "outage", bare, 1), Creator(cluster, "outage", deployment, 4)]
        for creator in self.creators:
            creator.start()

    def stop(self):
        """Returns how many objects were created, and how long the slowest of them took."""
        made = list(itertools.chain(*(creator.stop() for creator in self.creators)))
        return len(made), max(ended - began for began, ended, *_ in made)


@pytest.fixture(scope="module")
def outages(cluster, harbor, load_asked):
    """Creates Pods while Harbor comes and goes. Returns what a test can look at."""
    cluster.push(STEADY, FRESH)
    cluster.tag(FRESH, *(str(number) for number in range(0, MOST, 2)))
    harbor.set_cached(STEADY)
    load_asked(POLICY)
    cluster.namespace("outage", "enforce")
    try:
        run = Run(cluster, harbor)
        run.do()
        yield run
    finally:  # what runs next would wait for the node to be done with such a crowd
        for kind in ("apps/v1/namespaces/outage/deployments", "apps/v1/namespaces/outage/replicasets"):
            cluster.api.delete(f"/apis/{kind}", propagationPolicy="Background")

        def gone():
            if cluster.live_pods("outage"):
                cluster.api.delete("/api/v1/namespaces/outage/pods")
            return not cluster.pods("outage")
        wait("the Pods of this test to be gone", gone, 240, every=1)


class Run:
    def __init__(self, cluster, harbor):
        self.cluster, self.harbor = cluster, harbor
        self.outages = []

    def do(self):
        cluster = self.cluster
        self.since = cluster.log_positions()
        self.began = time.time()
        load = Load(cluster)
        try:
            for fault, well in FAULTS:
                time.sleep(well)
                self.outages.append(self.one_outage(fault))
            time.sleep(max(10, self.began + SECONDS - time.time()))
        finally:
            self.objects, self.slowest = load.stop()
        self.ended = time.time()
        # what waits for Harbor asks again after 10, 20, 40 seconds
        wait("every Pod to run", lambda: set(states(cluster).values()) == {"running"}, 240, every=0.5,
             explain=lambda: cluster.explain("outage"))
        self.recovered = time.time()
        self.pods = {item["metadata"]["name"]: item for item in cluster.pods("outage")}
        self.read_records()

    def one_outage(self, fault):
        outage = Outage(fault, time.time())
        {"stop": self.harbor.stop, "hang": self.harbor.hang}[fault]()
        wait("all of harbor-pilot's Pods to know that Harbor is away", lambda: self.harbor.is_up(False), 60)
        known = time.time()
        time.sleep(KNOWN_AWAY)
        outage.late = {item["metadata"]["name"] for item in self.cluster.pods("outage")
                       # asked for later than that was known as well: no create takes five seconds
                       if seconds(item["metadata"]["creationTimestamp"]) > known + 5}
        wait("what was created meanwhile to run without Harbor",
             lambda: outage.late <= running(states(self.cluster)), 60,
             explain=lambda: self.cluster.explain("outage"))
        outage.waiting = {name: why for name, why in states(self.cluster).items() if why != "running"}
        outage.returned = time.time()
        self.harbor.come_back()
        wait("all of harbor-pilot's Pods to know that Harbor is back", self.harbor.is_up, 60)
        return outage

    def read_records(self):
        """What the API server, harbor-pilot and the kubelet wrote down."""
        cluster = self.cluster
        self.created = [Created(event["responseObject"]["metadata"]["name"], images(event["responseObject"])["app"],
                                seconds(event["requestReceivedTimestamp"]), seconds(event["stageTimestamp"]))
                        for event in cluster.audit_events("outage") if event["responseStatus"]["code"] == 201]
        self.failed_pulls = {event["involvedObject"]["name"] for event in cluster.api.get(
            "/api/v1/namespaces/outage/events?fieldSelector=reason=Failed")["items"]}
        logs = [[(seconds(line["time"]), line["healthy"]) for line in cluster.harbor_pilot_events(item, "harbor-health")
                 if line["harbor"] == NAME] for item in cluster.harbor_pilot_pods()]
        for outage in self.outages:
            away = [min(at for at, healthy in log if not healthy and at >= outage.died) for log in logs]
            back = [min(at for at, healthy in log if healthy and at >= outage.returned) for log in logs]
            outage.opened, outage.closed, outage.all_closed = max(away), min(back), max(back)

    def stuck(self, outage):
        """What came too late for the webhook: the Pods of this outage that carry Harbor's name and waited for it to return."""
        since = max([self.began, *(other.returned for other in self.outages if other.returned < outage.died)])
        return [made for made in self.created
                if made.asked > since and made.name in outage.waiting and self.is_rewritten(made)]

    def started(self, made):
        return seconds(self.pods[made.name]["status"]["containerStatuses"][0]["state"]["running"]["startedAt"])

    # ---- when a Pod was created ----

    def while_known_away(self, outage):
        # the log has milliseconds, rounded down
        return [made for made in self.created if made.asked > outage.opened + 0.001 and made.answered < outage.closed]

    def before_it_was_known(self, outage):
        return [made for made in self.created if outage.died <= made.asked <= outage.opened]

    def while_well(self):
        """A list for each time between two outages, and before the first and after the last."""
        starts = [self.began, *(outage.all_closed + 0.001 for outage in self.outages)]
        ends = [*(outage.died for outage in self.outages), self.ended]
        return [[made for made in self.created if start < made.asked and made.answered < end]
                for start, end in zip(starts, ends)]

    def is_rewritten(self, made):
        return made.image.startswith(f"{self.cluster.harbor}/")

    def summary(self):
        lines = [f"{len(self.created)} Pods in {self.ended - self.began:.0f} s, {sum(map(self.is_rewritten, self.created))} of them "
                 f"rewritten; the slowest create took {self.slowest:.2f} s; all ran {self.recovered - self.ended:.0f} s after the last"]
        for outage in self.outages:
            early, away, stuck = self.before_it_was_known(outage), self.while_known_away(outage), self.stuck(outage)
            why = ", ".join(f"{count} {reason}" for reason, count in
                            collections.Counter(outage.waiting[made.name] for made in stuck).items())
            last = max((self.started(made) for made in stuck), default=outage.returned) - outage.returned
            lines.append(
                f"{outage.fault}: known after {outage.opened - outage.died:.1f} s, and that it is back after "
                f"{outage.closed - outage.returned:.1f} to {outage.all_closed - outage.returned:.1f} s; {len(early)} Pods before it was "
                f"known, {sum(map(self.is_rewritten, early))} of them rewritten, {len(away)} after, "
                f"{sum(map(self.is_rewritten, away))} of them rewritten; for `rescue`: {len(stuck)} ({why or 'none'}), the last of which "
                f"ran {last:.0f} s after Harbor came back")
        lines.append("while it was well: " + ", ".join(
            f"{sum(map(self.is_rewritten, span))} of {len(span)} rewritten" for span in self.while_well()))
        return "\n  ".join(lines)


def test_every_create_is_answered_in_time(cluster, outages, say):
    """That none failed, Load.stop() has seen to."""
    say(outages.summary())
    assert not cluster.failed_open("outage")
    assert outages.slowest < 2 + 5 + 1  # timeoutSeconds of the mutating and of the validating configuration
    assert outages.objects > 50 and outages.ended - outages.began >= SECONDS


def test_what_is_created_while_harbor_is_known_to_be_away_runs_from_its_original(outages):
    for outage in outages.outages:
        away = outages.while_known_away(outage)
        assert len(away) >= 3
        for made in away:
            assert not outages.is_rewritten(made), made
            # neither then nor ever
            assert made.name not in outages.failed_pulls and outage.waiting.get(made.name) not in ("ErrImagePull", "ImagePullBackOff")
            assert state(outages.pods[made.name]) == "running"
            assert images(outages.pods[made.name]) == {"app": made.image}
        assert outage.late & {made.name for made in away}  # these ran before Harbor was back


def test_what_waits_for_harbor_was_created_before_that_was_known(outages):
    """These are what `rescue` is for."""
    harmless = {made.name for outage in outages.outages for made in outages.while_known_away(outage)}
    rewritten = {made.name for made in outages.created if outages.is_rewritten(made)}
    for outage in outages.outages:
        stuck = {name for name, why in outage.waiting.items() if why in ("ErrImagePull", "ImagePullBackOff")}
        assert stuck <= rewritten - harmless
    assert outages.failed_pulls <= rewritten - harmless


def test_what_is_created_while_harbor_is_well_is_rewritten(outages):
    for span in outages.while_well():
        assert len(span) >= 3
        assert sum(map(outages.is_rewritten, span)) >= len(span) / 2  # all of them, where the machine is not too busy to ask in time


def test_the_registries_were_asked_for_what_the_pods_say(cluster, outages):
    expected = {True: collections.Counter(), False: collections.Counter()}
    for made in outages.created:
        expected[outages.is_rewritten(made)][made.image.rpartition("/")[2]] += 1
    for rewritten, registry in ((True, "harbor"), (False, "upstream")):
        answered = collections.Counter(
            f"{pull.repository.rpartition('/')[2]}:{pull.reference}" for pull in cluster.pulls(registry, outages.since)
            if pull.status == 200 and not pull.reference.startswith("sha256:"))
        assert set(answered) == set(expected[rewritten])
        assert answered[STEADY] >= expected[rewritten][STEADY]

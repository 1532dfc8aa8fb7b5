"""What is expected of every setting that has a say, and whether it came so."""

import collections
import itertools

from asking import Asker, reasons
from conftest import REQUIRE, UNAVAILABLE

SETTINGS = list(itertools.product(REQUIRE, UNAVAILABLE, ("enforce", "audit"), (False, True)))
NOT_ASKED = "not in Harbor yet; enforce would ask whether its upstream has it"
YES, NO, LATE, AUTH = "rewritten", "not-in-harbor", "not-known-in-time", "harbor-auth"
SECRET, GATE, NO_PROJECT = "pull-secret-missing", "refused-by-harbor", "no-project"


def check_row(outcome, reason, result, image, mode, detail):
    """What is wrong with one answer, or None."""
    applied = mode == "enforce"
    expected = result if reason == YES and applied else image
    if outcome.image != expected:
        return f"the image is {outcome.image}, expected {expected}"
    if (outcome.decision is not None) != (reason == YES):
        return f"the annotation is {outcome.decision}"
    if outcome.decision and outcome.decision["rewrite"].get("detail") != detail:
        return f"the detail is {outcome.decision['rewrite'].get('detail')}, expected {detail}"
    return None


def check_counts(server, before, expected):
    counted = reasons(server) - before
    assert counted == expected, f"too many: {counted - expected}; missing: {expected - counted}"


def expected_of(verdicts, require, mode, dry_run):
    """(reason, detail). `verdicts`: the reason under `cached`, under `servable` where its upstream may be asked (enforce,
    no dry run), and under `servable` where it may not. `never` rewrites; onHarborUnavailable says nothing about a single
    image."""
    cached, servable, shallow = verdicts
    if require == "never":
        return YES, None
    if require == "cached":
        return cached, None
    if mode == "enforce" and not dry_run:
        return servable, None
    return shallow, NOT_ASKED if shallow == YES and cached == NO else None


def check_rows(server, name, verdicts, images, results, between=lambda asker, expected: None):
    """Asks about an image for each of SETTINGS: one of its own, since what was learned must not answer another."""
    problems, expected = [], collections.Counter()
    before = reasons(server)
    with Asker(server) as asker:
        for (require, unavailable, mode, dry_run), image, result in zip(SETTINGS, images, results, strict=True):
            namespace = f"{require}-{unavailable}"
            reason, detail = expected_of(verdicts, require, mode, dry_run)
            expected[namespace, mode, reason] += 1
            outcome = asker.ask(image, namespace, mode, dry_run)
            problem = check_row(outcome, reason, result, image, mode, detail)
            if problem:
                problems.append(f"{require} {unavailable} {mode} dryRun={dry_run}: {problem}")
            between(asker, expected)
    assert not problems, name + "\n" + "\n".join(problems)
    check_counts(server, before, expected)

"""A tag that Harbor has a copy of, and that its upstream has deleted: Harbor answers a pull 404, unless its project says otherwise."""

import fake_harbor as f
from asking import Asker, ask, reason_of
from serverlib import select

IMAGE, PLACE = "ghost:1", ("docker-hub-proxy", "library/ghost")


def stored(fake, manifest):
    fake.images[PLACE] = {"artifact": f.PRESENT, "manifest": manifest}


def heads(fake):
    return [r for r in fake.asked("manifest", PLACE[1]) if (r.authorization or "").startswith("Bearer ")]


def with_metadata(**metadata):
    return f.play_changed(4023, lambda project: project["metadata"].update(metadata))


def test_it_is_kept(fake, places, start):
    stored(fake, f.NO_TAG)
    server = start(places.write_policies(fake.url))
    assert reason_of(server, IMAGE) == "not-in-harbor"
    assert ask(server, IMAGE, "cached-keep").moved, "`cached` asks the database only"
    (value,) = (value for labels, value in select(server.metrics(), "harborpilot_harbor_questions_total")
                if labels["kind"] == "stored-tag" and labels["answer"] == "no")
    assert value == 1


def test_what_is_pinned_needs_no_upstream(fake, places, start):
    stored(fake, f.NO_TAG)
    server = start(places.write_policies(fake.url))
    assert ask(server, IMAGE + "@sha256:" + "a" * 64).moved
    assert fake.asked("manifest") == []


def test_a_project_that_serves_its_copy_is_not_asked(fake, places, start):
    fake.projects[PLACE[0]] = with_metadata(proxy_cache_local_on_not_found="true")
    stored(fake, f.NO_TAG)
    server = start(places.write_policies(fake.url))
    assert ask(server, IMAGE).moved
    assert fake.asked("manifest") == []


def test_nobody_upstream_is_asked_in_audit_and_dry_runs(fake, places, start):
    stored(fake, f.NO_TAG)
    server = start(places.write_policies(fake.url))
    assert reason_of(server, IMAGE, mode="audit") == "rewritten"
    assert ask(server, IMAGE, dry_run=True).moved
    assert fake.asked("manifest") == []


def test_a_tag_is_asked_for_once(fake, places, start):
    """Also where others, who need less, ask about it in between."""
    stored(fake, f.to_token(f.SERVED))
    server = start(places.write_policies(fake.url))
    with Asker(server) as asker:
        for _ in range(5):
            assert asker.ask(IMAGE).moved
            assert asker.ask(IMAGE, "cached-keep").moved
    assert len(heads(fake)) == 1


def test_a_slow_upstream_keeps_nobody_waiting(fake, places, start):
    """The database has said yes; Harbor falls back on its copy. One waits a second, the next tags of the project do not."""
    stored(fake, f.to_token(f.hang))
    server = start(places.write_policies(fake.url))
    first = ask(server, IMAGE, timeout="10s")
    assert first.moved and first.seconds < 2, first
    for tag in ("2", "3"):
        other = ask(server, f"ghost:{tag}", timeout="10s")
        assert other.moved and other.seconds < 0.8, other
    assert len(heads(fake)) == 1


def test_a_review_that_ends_before_the_upstream_answers_goes_by_the_database(fake, places, start):
    stored(fake, f.to_token(f.hang))
    server = start(places.write_policies(fake.url))
    outcome = ask(server, IMAGE, timeout="1s")
    assert outcome.moved and outcome.seconds < 1, outcome

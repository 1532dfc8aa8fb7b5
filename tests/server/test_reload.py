"""Policies change while it serves: by signal, by content, by the symlinks of a ConfigMap; and broken ones change nothing."""

import os
import shutil
import signal
import threading

import pytest

from reviews import HARBOR, apply, check_response, images, mutate, patch_of, pod, review
from serverlib import HERE, wait

NEVER = "24h"


def is_moved(server, namespace="plain"):
    _, after = mutate(server, review(pod("nginx", namespace=namespace)))
    return images(after)["c0"].startswith(HARBOR)


def claim(directory, namespace, name="40-new.yaml"):
    (directory / name).write_text("apiVersion: harbor-pilot.io/v1alpha1\nkind: Policy\n"
                                  f"metadata: {{name: new-{namespace}}}\nspec:\n  namespaces: [{namespace}]\n")


def break_them(directory):
    (directory / "50-broken.yaml").write_text("kind: Policy\n  spec: [\n")


def generation(server):
    return server.metric("harborpilot_policy_generation")


def test_sighup_reloads(start, policies):
    server = start(policies, "--watch-interval", NEVER).await_ready()
    assert not is_moved(server, "new")
    claim(policies, "new")
    assert not is_moved(server, "new"), "nothing was said yet"
    server.reload()
    assert is_moved(server, "new")
    assert generation(server) == 2


def test_sighup_without_a_change_loads_again(start, policies):
    server = start(policies, "--watch-interval", NEVER).await_ready()
    for count in range(2, 5):
        server.reload()
        assert generation(server) == count
    assert is_moved(server)


def test_many_signals_at_once_do_no_harm(start, policies):
    server = start(policies, "--watch-interval", NEVER).await_ready()
    for _ in range(200):
        server.signal(signal.SIGHUP)
    assert is_moved(server)
    claim(policies, "new")
    server.reload()
    wait(lambda: is_moved(server, "new"), "the last signal was not lost")


def test_a_change_of_content_is_seen(start, policies):
    """Also where size and time stay the same: contents are compared, not the times of files."""
    server = start(policies, "--watch-interval", "100ms").await_ready()
    path = policies / "20-waves.yaml"
    before = os.stat(path)
    text = path.read_text()
    path.write_text(text.replace("[retired]", "[retirex]"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert os.stat(path).st_size == before.st_size
    wait(lambda: generation(server) == 2, "a second generation")
    server.event("policies", count=2)


def test_no_change_is_no_reload(start, policies):
    server = start(policies, "--watch-interval", "100ms").await_ready()
    for path in policies.iterdir():
        path.touch()
        path.write_bytes(path.read_bytes())
    (policies / "notes.txt").write_text("not a policy")
    (policies / ".hidden.yaml").write_text("broken: [")
    claim(policies, "new")  # and when this is seen, all of the above has been looked at
    wait(lambda: is_moved(server, "new"), "the change that is one")
    assert generation(server) == 2


def test_a_new_and_a_removed_file_are_seen(start, policies):
    server = start(policies, "--watch-interval", "100ms").await_ready()
    claim(policies, "new")
    wait(lambda: is_moved(server, "new"), "the new file counts")
    (policies / "40-new.yaml").unlink()
    wait(lambda: not is_moved(server, "new"), "the removed file counts no more")


def test_the_symlinks_of_a_config_map(places, start):
    """As the kubelet does it: files are links through ..data, which is replaced by one rename."""
    mount = places.new_directory()

    def publish(version, namespace):
        content = mount / f"..2026_{version}"
        shutil.copytree(HERE / "policies", content)
        claim(content, namespace)
        (mount / "..data_tmp").symlink_to(content.name)
        os.rename(mount / "..data_tmp", mount / "..data")
    publish(1, "first")
    for name in os.listdir(mount / "..data"):
        (mount / name).symlink_to(f"..data/{name}")
    server = start(mount, "--watch-interval", "100ms").await_ready()
    assert is_moved(server, "first") and not is_moved(server, "second")
    publish(2, "second")
    shutil.rmtree(mount / "..2026_1")
    wait(lambda: is_moved(server, "second") and not is_moved(server, "first"), "the second version counts")
    assert server.metric("harborpilot_policy_last_reload_successful") == 1


@pytest.mark.parametrize("how", ["SIGHUP", "watch"])
def test_a_broken_reload_keeps_the_last_good_ones_and_says_so(start, policies, how):
    server = start(policies, "--watch-interval", NEVER if how == "SIGHUP" else "100ms").await_ready()
    loaded = server.metric("harborpilot_policy_last_reload_success_timestamp_seconds")
    break_them(policies)
    claim(policies, "new")
    if how == "SIGHUP":
        server.reload()
    line = server.event("policies-invalid")
    assert line["level"] == "error" and "last good" in line["msg"], line
    where = server.event("policy")
    assert where["file"].endswith("50-broken.yaml") and where["line"] == 2, where
    assert is_moved(server) and not is_moved(server, "new"), "the last good set serves"
    samples = server.metrics()
    by_name = {key[0]: value for key, value in samples.items() if not key[1]}
    assert by_name["harborpilot_policy_last_reload_successful"] == 0
    assert by_name["harborpilot_policy_generation"] == 1
    assert by_name["harborpilot_policy_last_reload_success_timestamp_seconds"] == loaded
    assert server.admin("/readyz").status == 200, "a Pod that serves well must stay in its Service"
    (policies / "50-broken.yaml").unlink()
    if how == "SIGHUP":
        server.reload()
    wait(lambda: is_moved(server, "new"), "mended ones are loaded")
    assert server.metric("harborpilot_policy_last_reload_successful") == 1


def test_broken_policies_are_complained_about_once_and_not_at_each_look(start, policies):
    server = start(policies, "--watch-interval", "100ms").await_ready()
    break_them(policies)
    server.event("policies-invalid")
    claim(policies, "new")  # another change is another try
    server.event("policies-invalid", count=2)
    (policies / "50-broken.yaml").unlink()
    server.event("policies", count=2)
    assert len(server.events("policies-invalid")) <= 3


@pytest.mark.parametrize("what", ["gone", "unreadable file"])
def test_policies_that_are_gone_keep_the_last_good_ones(start, policies, what):
    server = start(policies, "--watch-interval", "100ms").await_ready()
    away = policies.with_name("away")
    if what == "gone":
        policies.rename(away)
    else:
        (policies / "60-link.yaml").symlink_to("nowhere")
    server.event("policies-invalid")
    assert is_moved(server)
    if what == "gone":
        away.rename(policies)
    else:
        (policies / "60-link.yaml").unlink()
    wait(lambda: server.metric("harborpilot_policy_last_reload_successful") == 1, "they are back")


def test_several_paths_files_and_directories(start, policies, places):
    extra = places.new_directory() / "extra.yaml"
    claim(extra.parent, "extra", extra.name)
    server = start([policies, extra], "--watch-interval", "100ms").await_ready()
    assert is_moved(server) and is_moved(server, "extra")
    claim(extra.parent, "other", extra.name)
    wait(lambda: is_moved(server, "other"), "a file is watched as well")


def test_reloads_while_answering(start, policies):
    """Each answer is of one set or the other, whole: the policies of `a` and `b` always change together."""
    def both(project):
        text = (HERE / "policies" / "10-harbor.yaml").read_text()
        (policies / "10-harbor.yaml").write_text(text.replace("docker-hub-proxy", f"{project}-hub")
                                                 .replace("quay-proxy", f"{project}-quay"))
    both("a")
    server = start(policies, "--watch-interval", NEVER).await_ready()
    seen, failures, stop = set(), [], threading.Event()

    def work():
        try:
            with server.connect() as connection:
                while not stop.is_set():
                    sent = review(pod("nginx", "quay.io/x/y"))
                    response = check_response(sent, connection.post("/mutate/enforce", sent))
                    after = apply(sent["request"]["object"], patch_of(response))
                    seen.add(tuple(image.split("/")[1].split("-")[0] for image in images(after).values()))
        except BaseException as error:
            failures.append(error)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for count in range(15):
        both("ba"[count % 2])
        server.reload()
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures, failures
    assert seen == {("a", "a"), ("b", "b")}, f"answers of a mixed set, or no change seen: {seen}"

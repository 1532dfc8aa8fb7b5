"""What deploy/ promises of harbor-pilot's Pods, as the kernel and the API server see them."""

import pathlib

from harness import pod, pod_spec

USER = 65532


def test_the_process_has_no_rights_on_its_node(cluster):
    for item in cluster.harbor_pilot_pods():
        (process,) = cluster.processes(item)
        status = dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{process}/status").read_text().splitlines())
        assert status["Uid"].split() == status["Gid"].split() == [str(USER)] * 4
        assert {status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {"0" * 16}
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")  # 2: a filter


def test_nothing_in_its_file_system_can_be_written(cluster):
    for item in cluster.harbor_pilot_pods():
        (process,) = cluster.processes(item)
        mounts = [line.split() for line in pathlib.Path(f"/proc/{process}/mounts").read_text().splitlines()]
        options = {mount: set(flags.split(",")) for _, mount, _, flags, *_ in mounts}
        for mount in ("/", "/etc/harbor-pilot/policies", "/etc/harbor-pilot/tls"):
            assert "ro" in options[mount], mount
        assert not [mount for mount in options if "serviceaccount" in mount]


def test_it_has_a_limit_of_memory_and_none_of_cpu(cluster):
    for item in cluster.harbor_pilot_pods():
        resources = item["spec"]["containers"][0]["resources"]
        assert set(resources["limits"]) == {"memory"} and set(resources["requests"]) == {"cpu", "memory"}


def test_a_pod_that_asks_for_more_is_refused_in_its_namespace(cluster):
    spec = pod_spec("web:1")
    status, answer = cluster.api.ask("POST", "/api/v1/namespaces/harbor-pilot/pods", pod("root", spec))
    assert status == 403 and "violates PodSecurity" in answer["message"]

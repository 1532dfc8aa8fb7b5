"""The admin port: plain HTTP, reachable from every Pod; a probe is answered within a second whatever comes."""

import pytest


from conftest import POLICIES
from victims import Attack, Kubelet

ADDRESSES = [f"127.0.0.{n}" for n in range(2, 6)]


@pytest.mark.parametrize("request_", [None, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n", "GET /no HTTP/1.1\r\nHost: a\r\n\r\n"],
                         ids=["silent", "metrics", "404"])
def test_plain_connections_keep_no_probe_out(start, slow, seconds, request_):
    server, lasting = start(), seconds(4)
    with Kubelet(server) as probes, Kubelet(server, path="/readyz") as ready:
        order = dict(port=server.admin_port, addresses=ADDRESSES, tls=False, count=150 * lasting, seconds=lasting,
                     request=request_, first=request_)
        with Attack("hold", **order) as attack:
            done = attack.wait(lasting + 60)
    probes.check()
    ready.check()
    assert done["opened"] > 256, done  # more than the port holds, however slow the machine
    assert server.metric("harborpilot_connections_closed_total", port="admin", reason="crowded") > 0


def ask(server, path, authorization=None):
    return server.admin(path, headers={"Authorization": authorization} if authorization else {})


def test_metrics_want_the_token_and_probes_do_not(start, tmp_path):
    token = tmp_path / "token"
    token.write_text("secret-one\n")
    server = start(POLICIES, "--metrics-token-file", token)
    for wrong in (None, "secret-one", "Bearer", "Bearer ", "Bearer secret-on", "Bearer secret-one1", "Basic secret-one"):
        answer = ask(server, "/metrics", wrong)
        assert answer.status == 401 and answer.header("WWW-Authenticate") == "Bearer", wrong
        assert b"harborpilot_" not in answer.body
    assert ask(server, "/metrics", "Bearer secret-one").status == 200
    assert ask(server, "/metrics", "bearer secret-one").status == 200
    assert ask(server, "/livez").status == ask(server, "/readyz").status == 200
    token.write_text("secret-two")
    assert ask(server, "/metrics", "Bearer secret-two").status == 200
    assert ask(server, "/metrics", "Bearer secret-one").status == 401
    line = server.event("wrong-secret")
    assert str(token) in line["msg"] and "secret-" not in line["msg"]
    assert len(server.events("wrong-secret")) == 1, "a line a minute"

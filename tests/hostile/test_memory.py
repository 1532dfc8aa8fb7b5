"""Memory: what all requests together may hold is less than what the Deployment allows, whatever comes."""

import json
import pathlib
import re
import subprocess

import pytest

from conftest import POLICIES
from victims import ApiServer, Attack

ROOT = pathlib.Path(__file__).resolve().parents[2]
ADDRESSES = [f"127.0.0.{n}" for n in range(2, 10)]


def limit_mib():
    text = (ROOT / "deploy" / "20-deployment.yaml").read_text()
    return int(re.search(r"limits: \{memory: (\d+)Mi\}", text)[1])


def test_the_limit_follows_from_the_programs_own_sum(binary):
    """A tenth of it is left over."""
    shares = json.loads(subprocess.run([binary, "help", "--dump-interface"], check=True, capture_output=True).stdout)["memory"]
    mib = {name: size // 2**20 for name, size in shares.items()}
    assert sum(shares.values()) * 1.1 <= limit_mib() * 2**20, mib
    page = (ROOT / "docs" / "threat-model.md").read_text()
    for name, size in mib.items():
        assert re.search(rf"^\| `{name}`: .* \| {size} \|$", page, re.M), f"{name} {size}"
    assert f"| together | {sum(mib.values())} |" in page


def peak_mib(server):
    text = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", text)[1]) / 1024


@pytest.mark.parametrize("names,lasting", [
    (None, 8), (["objects", "images that are none"], 4), (["small, not complete"], 4), (["large, not complete"], 4), (["pull secrets", "pull secrets by name"], 4),
    (["answers that nobody reads"], 4), (["changes"], 4)], ids=["everything", "objects", "small", "large", "secrets", "answers", "changes"])
def test_what_asks_for_memory_at_once(start, slow, seconds, names, lasting):
    server, lasting = start(POLICIES, "--threads", "4"), seconds(lasting)
    with ApiServer(server, 20 if slow else 100) as calls:
        with Attack("memory", port=server.port, addresses=ADDRESSES, seconds=lasting, names=names,
                    times=2) as attack:
            done = attack.wait(lasting + 60)
    print(f"peak {peak_mib(server):.0f} MiB of {limit_mib()} MiB")
    calls.check(5 if slow else 1, 10 * lasting)
    assert all(count > 0 for count in done.values()), done
    if not slow:
        assert peak_mib(server) < 0.9 * limit_mib(), f"{peak_mib(server):.0f} MiB"

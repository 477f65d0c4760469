# SPDX-License-Identifier: Apache-2.0
"""A kernel that has not what is needed. Last of all, for it takes WireGuard away from the whole guest."""
import os
import subprocess
import sys

import pytest

from product import REPO, Agent, program
from topology import EMULATED


@pytest.fixture
def kernel_without_wireguard():
    rule = "/etc/modprobe.d/cvlan-lab.conf"
    with open(rule, "w", encoding="utf-8") as file:
        file.write("install wireguard /bin/false\n")
    subprocess.run(["modprobe", "-r", "wireguard"], check=True)
    yield
    os.unlink(rule)


def in_a_guest(request):
    """The host's own kernel is not ours to take modules from: the scenario runs itself in QEMU."""
    subprocess.run([f"{REPO}/integration/lab", "--qemu", "--timeout", "300", "--", sys.executable, "-m", "pytest", "-q",
                    "-p", "no:cacheprovider", request.node.nodeid], check=True, cwd=request.config.rootpath,
                   env={**os.environ, "CVLAN_LAB_OUT": os.path.join(os.environ["CVLAN_LAB_OUT"], "guest")})


def test_without_wireguard_the_agent_says_so_and_ends_with_78(net, request):
    """F63."""
    if not EMULATED:
        in_a_guest(request)
        return
    request.getfixturevalue("kernel_without_wireguard")
    agent = Agent(net.host("a"))
    process = agent.host.popen(program("cvlan-agent"), "--config", agent.config)
    assert process.popen.wait(60) == 78, process.log()
    assert "wireguard" in process.log().lower()
    assert agent.host.ip("-o", "link").count("\n") == 1  # lo alone


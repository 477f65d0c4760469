# SPDX-License-Identifier: Apache-2.0
"""Two nodes on one segment: the main job of the product, and what both ends say about it."""
import ipaddress
import os

import pytest

from product import REPAIR_SECONDS, UNSEEN, Agent, Overlay, program
from topology import wait_until


@pytest.fixture(scope="module")
def pair():
    with Overlay("a", "b") as overlay:
        yield overlay


def test_ping_each_other_over_ipv4_and_ipv6(pair):
    assert pair.a.addresses()[0] == "10.100.0.1" and pair.b.addresses()[0] == "10.100.0.2"
    assert ipaddress.ip_address(pair.a.addresses()[1]).version == 6
    pair.a.ping(pair.b, count=3)
    pair.b.ping(pair.a, count=3)


def test_have_an_empty_plan(pair):
    for agent in (pair.a, pair.b):
        agent.wait_until_converged()
        assert agent.ctl("plan").stdout == ""
        assert agent.plan() == []


def test_status_tells_the_connection(pair):
    pair.a.ping(pair.b)
    status = pair.a.status()
    assert status["self"]["name"] == "a" and status["self"]["state"] == "CONNECTED"
    network, = status["self"]["networks"]
    assert network["name"] == "net" and network["device"] == pair.a.device and network["listenPort"] == 51820
    assert int(status["self"]["mapRevision"]) > 0 and status["self"]["health"] == []
    peer = pair.a.peer("b")
    assert peer["path"] == "DIRECT" and peer["lastHandshake"].endswith("Z")
    assert peer["addresses"] == pair.b.addresses()
    assert int(peer["rxBytes"]) > 0 and int(peer["txBytes"]) > 0
    assert peer["endpoint"].rsplit(":", 1)[0].strip("[]") in (pair.b.host.ipv4, pair.b.host.ipv6)
    assert pair.a.ctl("status").returncode == 0


def test_cvlanctl_ping_knows_answered_and_not(pair):
    assert pair.a.ctl("ping", "b", "-c", 1).returncode == 0
    assert pair.a.ctl("ping", "nobody", "-c", 1, check=False).returncode == 3


def test_mark_all_that_is_theirs(pair):
    device = pair.a.device
    link, = pair.a.host.ip_json("link", "show", "dev", device)
    assert link["ifalias"].startswith("cvlan:") and len(device) == 13
    rules = [rule for rule in pair.a.host.ip_json("rule", "show") if rule.get("protocol") == "202"]
    assert [(rule["priority"], rule["table"]) for rule in rules] == [(5200, "52000")]
    route, = pair.a.host.ip_json("route", "show", "table", "52000")
    assert (route["dst"], route["dev"], route["prefsrc"], route["protocol"]) == ("10.100.0.0/24", device, "10.100.0.1", "202")
    assert pair.a.host.run("wg", "show", device, "fwmark").stdout.strip() == "0xca000000"


def test_write_no_secret_to_log_and_no_state_for_others_to_read(pair):
    private = pair.a.host.run("wg", "show", pair.a.device, "private-key").stdout.strip()
    for process in (pair.a.process, pair.b.process, pair.controller.process):
        assert private not in process.log() and "cvlan_reg_" not in process.log()
    readable = pair.a.host.run("find", pair.a.state_dir, "-perm", "/077").stdout
    assert readable == ""


def test_a_stopped_agent_stops_nothing(pair):
    """F61: systemctl stop."""
    device, handshakes = pair.a.device, pair.a.wireguard()
    assert pair.a.stop() == 0
    pair.b.host.ping("10.100.0.1", count=3)
    assert pair.a.devices() == [device] and pair.a.wireguard().keys() == handshakes.keys()
    pair.a.start()
    wait_until(lambda: pair.a.state() == "CONNECTED", what="a is connected again")
    pair.a.wait_until_converged()
    assert pair.a.wireguard()[pair.b.public_key()][3] >= handshakes[pair.b.public_key()][3], "the peer was made anew"


def test_down_takes_the_tunnels_away_until_up(pair):
    pair.a.ctl("down")
    wait_until(lambda: pair.a.devices() == [], REPAIR_SECONDS + UNSEEN, "no device is left", hard=True)
    assert "52000" not in pair.a.host.ip("rule") and "proto 202" not in pair.a.host.ip("-d", "-6", "rule")
    assert pair.a.state() == "DOWN" and pair.a.ctl("status", check=False).returncode == 1
    pair.a.reboot()
    pair.a.start()
    assert pair.a.state() == "DOWN" and pair.a.devices() == []
    pair.a.up()
    assert pair.a.addresses()[0] == "10.100.0.1"
    pair.a.ping(pair.b)


def test_the_plan_is_the_same_text_in_log_and_command(pair):
    pair.a.stop()
    device = pair.a.device
    pair.a.host.ip("link", "del", device)
    planned = pair.a.host.run(program("cvlan-agent"), "--config", pair.a.config, "--bootstrap", timeout=60).stdout.splitlines()
    assert len(planned) >= 7 and planned[0].startswith(f"add link {device} ")
    before = len(pair.a.process.log())
    pair.a.start()
    wait_until(lambda: pair.a.devices() and pair.a.plan() == [], what="a is whole again")
    log = pair.a.process.log()[before:]
    for line in planned:
        assert f'step="{line}"' in log, line
    pair.a.ping(pair.b)


def test_bootstrap_prints_the_plan_and_changes_nothing(pair):
    host = pair.net.host("probe", pair.lan)
    agent = Agent(host)
    done = host.run("setpriv", "--bounding-set=-all", "--inh-caps=-all", program("cvlan-agent"), "--config", agent.config,
                    "--bootstrap", check=False, timeout=60, env={**os.environ, "CVLAN_TOKEN": pair.controller.token()})
    assert done.returncode == 0, done.stderr
    assert "cv-" in done.stdout and "10.100.0." in done.stdout
    assert agent.devices() == [] and "52000" not in host.ip("rule")
    pair.controller.ctl("node", "delete", pair.controller.nodes()[-1]["id"], "--tenant", "acme", "--yes")

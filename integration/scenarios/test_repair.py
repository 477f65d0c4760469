# SPDX-License-Identifier: Apache-2.0
"""Someone changes what is ours by hand: it is right again within 5 s, nothing foreign is touched, and the
sessions of peers that were not concerned go on."""
import time

import pytest

from product import REPAIR_SECONDS, UNSEEN, Foreign, Overlay
from topology import wait_until


@pytest.fixture(scope="module")
def trio():
    with Overlay("a", "b", "c") as overlay:
        overlay.foreign = Foreign(overlay.a.host)
        yield overlay


@pytest.fixture
def a(trio):
    """Node a with live sessions; afterwards all is well, and what is foreign is as it was."""
    trio.a.ping(trio.b, family=4)
    trio.a.ping(trio.c, family=4)
    assert trio.a.plan() == []
    yield trio.a
    trio.a.wait_until_converged(REPAIR_SECONDS)
    trio.a.ping(trio.b, family=4)
    trio.a.ping(trio.c, family=6)
    trio.foreign.assert_untouched()


def repaired(claim, what):
    wait_until(claim, REPAIR_SECONDS + UNSEEN, what, hard=True)


def state_of(agent):
    """All of ours in the kernel, without what traffic changes."""
    host, device = agent.host, agent.device
    link = host.ip_json("addr", "show", "dev", device)[0]
    wireguard = agent.wireguard()
    return {
        "link": (link["ifname"], link["mtu"], link["ifalias"], "UP" in link["flags"]),
        "addresses": sorted((one["local"], one["prefixlen"]) for one in link["addr_info"] if one["scope"] == "global"),
        "peers": sorted((key, sorted(peer[1].split(","))) for key, peer in wireguard.items()),
        "keys": host.run("wg", "show", device, "private-key").stdout + host.run("wg", "show", device, "fwmark").stdout,
        "routes": host.ip("route", "show", "table", "52000") + host.ip("-6", "route", "show", "table", "52000"),
        "rules": [line for family in ("-4", "-6") for line in host.ip("-d", family, "rule").splitlines() if "proto 202" in line],
    }


def tamper(agent, what, *commands):
    """Runs the commands in the agent's host and waits until all of ours is as before."""
    before = state_of(agent)
    for command in commands:
        agent.host.run(*command.split())
    repaired(lambda: state_of(agent) == before, what)


def assert_same_session(before, after, key):
    """Counters only rise and the handshake only renews: a peer made anew starts from nothing."""
    assert after[key][2] >= before[key][2] > 0 and after[key][3] >= before[key][3] > 0 and after[key][4] >= before[key][4]


def test_a_deleted_device_is_rebuilt(a):
    tamper(a, "the device is back", f"ip link del {a.device}")


def test_a_device_set_down_comes_up(a):
    before = a.wireguard()
    tamper(a, "the device is up", f"ip link set {a.device} down")
    assert before.keys() == a.wireguard().keys()


def test_a_changed_mtu_is_put_right(a):
    tamper(a, "the MTU is right", f"ip link set {a.device} mtu 1300")


def test_a_renamed_device_is_followed_or_made_again_and_is_one(a):
    before, device = state_of(a), a.device
    # The agent puts a device up at once, and one that is up can not be renamed: try until we are faster.
    renaming = f"link set {device} down\nlink set {device} name stray0\n"
    wait_until(lambda: not a.host.run("ip", "-batch", "-", input=renaming, check=False).returncode, what="renamed")
    repaired(lambda: state_of(a) == before, "the device has its name")
    strays = [link["ifname"] for link in a.host.ip_json("link", "show") if link.get("ifalias", "").startswith("cvlan:")]
    assert strays == [a.device]


def test_a_device_moved_to_another_namespace_is_rebuilt(a, trio):
    elsewhere = trio.net.host("elsewhere")
    tamper(a, "the device is back", f"ip link set {a.device} netns elsewhere")
    elsewhere.ip("link", "del", a.device, check=False)


def test_a_removed_peer_comes_back_and_the_other_keeps_its_session(a, trio):
    b, c = trio.b.public_key(), trio.c.public_key()
    before = a.wireguard()
    tamper(a, "the peer is back", f"wg set {a.device} peer {b} remove")
    assert_same_session(before, a.wireguard(), c)


def test_changed_allowed_ips_are_put_right(a, trio):
    b, c = trio.b.public_key(), trio.c.public_key()
    before = a.wireguard()
    tamper(a, "the allowed IPs are right", f"wg set {a.device} peer {b} allowed-ips 10.100.0.99/32")
    assert_same_session(before, a.wireguard(), b)
    assert_same_session(before, a.wireguard(), c)


def test_a_stolen_allowed_ip_is_given_back(a, trio):
    b, c = trio.b.public_key(), trio.c.public_key()
    before = a.wireguard()
    tamper(a, "c has its address again", f"wg set {a.device} peer {b} allowed-ips 10.100.0.2/32,{trio.c.addresses()[0]}/32")
    assert_same_session(before, a.wireguard(), c)


def test_a_peer_that_is_not_of_the_map_is_removed(a, trio):
    before = a.wireguard()
    stranger = "Yr8ss0RyLLEtdFSPnJLTBTFL6kNPBI3TcZHtjTnhDmo="
    tamper(a, "the stranger is gone", f"wg set {a.device} peer {stranger} allowed-ips 10.100.0.66/32")
    for key in (trio.b.public_key(), trio.c.public_key()):
        assert_same_session(before, a.wireguard(), key)


def test_another_private_key_is_put_right(a):
    before = state_of(a)
    key = a.host.run("wg", "genkey").stdout
    a.host.run("wg", "set", a.device, "private-key", "/dev/stdin", input=key)
    repaired(lambda: state_of(a) == before, "the key is right")


def test_a_wrong_endpoint_does_not_last(a, trio):
    """Between idle nodes: with traffic the kernel itself follows the peer's next packet."""
    b = trio.b.public_key()
    wait_until(lambda: is_idle(a, b), 60, "a and b say nothing")
    before = a.wireguard()[b]
    a.host.run("wg", "set", a.device, "peer", b, "endpoint", "192.0.2.200:1")
    repaired(lambda: a.wireguard()[b][0] == before[0], "the endpoint is right")
    assert a.wireguard()[b][3] == before[3], "a packet of b came in: not the agent's doing"


def is_idle(agent, key):
    before = agent.wireguard()[key]
    time.sleep(5)
    return agent.wireguard()[key] == before


def test_a_changed_port_and_mark_are_put_right(a):
    before = a.host.run("wg", "show", a.device, "listen-port").stdout
    tamper(a, "the mark is right", f"wg set {a.device} fwmark 0")
    a.host.run("wg", "set", a.device, "listen-port", "40000")
    repaired(lambda: a.host.run("wg", "show", a.device, "listen-port").stdout == before, "the port is right")


def test_flushed_addresses_come_back(a, trio):
    before = a.wireguard()
    tamper(a, "the addresses are back", f"ip addr flush dev {a.device}")
    assert_same_session(before, a.wireguard(), trio.c.public_key())


def test_flushed_routes_come_back(a):
    tamper(a, "the routes are back", "ip route flush table 52000", "ip -6 route flush table 52000")


def test_flushed_rules_come_back(a):
    tamper(a, "the rules are back", "ip rule del priority 5200", "ip -6 rule del priority 5200")


def test_rules_come_back_after_all_were_flushed(a, trio):
    """F57: even the kernel's own are gone. Who flushed them puts them back; we only put back ours."""
    tamper(a, "our rules are back", "ip rule flush", "ip rule add lookup main priority 32766",
           "ip rule add lookup default priority 32767", "ip rule add from 198.51.100.0/24 lookup 777 priority 300")
    trio.foreign.before = trio.foreign.text()  # iproute2 adds rules with protocol boot where the kernel had protocol kernel


def test_a_storm_of_changes_ends_in_order(a):
    device = a.device
    tamper(a, "all is back", f"ip addr flush dev {device}", "ip route flush table 52000", "ip rule del priority 5200",
           f"ip link set {device} mtu 1290", f"ip link del {device}")


def test_drift_is_told_in_the_log(a):
    before = len(a.process.log())
    tamper(a, "the MTU is right", f"ip link set {a.device} mtu 1301")
    assert "drift" in a.process.log()[before:]

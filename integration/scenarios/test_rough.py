# SPDX-License-Identifier: Apache-2.0
"""Underlays that lose, spoil, shorten and recolour packets, and names that are not found."""
import contextlib
import socket
import threading
import time

import pytest

from product import UNSEEN, Overlay, Relay
from topology import PATIENCE, Cover, default_route, wait_until

CONTROLLER = "controller.example.net"
SERVER4, SERVER6 = "203.0.113.1", "2001:db8:1::1"


def names(*addresses):
    return "127.0.0.1 localhost\n" + "".join(f"{one} {CONTROLLER}\n" for one in addresses)


@pytest.fixture(scope="module")
def hosts():
    with Cover("/etc/hosts", names(SERVER4, SERVER6)) as cover:
        yield cover


@pytest.fixture(scope="module")
def pair(hosts):
    """Two routers between a and the others: a - site - gate - router - lan - b, the controller."""
    with Overlay("b", ipv6=None, name=CONTROLLER) as overlay:
        site = overlay.net.switch("site", ipv4="192.0.2.0/24")
        a = overlay.net.host("a", site)
        overlay.router, overlay.gate = overlay.net.router("router", overlay.lan), overlay.net.router("gate", site)
        overlay.net.link(overlay.router, overlay.gate, ["192.0.3.1/30"], ["192.0.3.2/30"])
        default_route(a, site, overlay.gate)
        overlay.gate.route("default", "192.0.3.1")
        overlay.router.route("192.0.2.0/24", "192.0.3.2")
        for host in (overlay.controller.host, overlay.b.host):
            host.route("192.0.2.0/24", overlay.lan.address_of(overlay.router))
        overlay.add("a", host=a)
        overlay.wait_until_all_know_all()
        overlay.a.ping(overlay.b, timeout=30)
        yield overlay


def answered(pair, count=200, *options):
    """How many of so many echo requests through the overlay were answered, once each."""
    done = pair.a.host.run("ping", "-n", "-q", "-i", "0.01", "-c", count, "-W", "2", *options, pair.b.addresses()[0], check=False)
    return int(done.stdout.split(" received")[0].split()[-1]), "duplicates" in done.stdout


def carry(pair, size=200_000, timeout=20):
    """A TCP connection through the overlay carries so many bytes."""
    with pair.b.host.inside():
        listener = socket.create_server((pair.b.addresses()[0], 0))
    with listener:
        with pair.a.host.inside():
            near = socket.create_connection(listener.getsockname(), timeout=timeout * PATIENCE)
        far, got = listener.accept()[0], 0
    with near, far:
        far.settimeout(timeout * PATIENCE)
        sender = threading.Thread(target=near.sendall, args=(bytes(size),))
        sender.start()
        while got < size:
            got += len(far.recv(65536)) or pytest.fail("the connection has ended")
        sender.join()


@contextlib.contextmanager
def silent_hop(pair):
    """No ICMP tells of what is too large for the hop between the routers, whose MTU is set by the function that this gives."""
    def set_mtu(mtu):
        for host, device in ((pair.router, "to-gate"), (pair.gate, "to-router")):
            host.ip("link", "set", "dev", device, "mtu", mtu)

    for router in (pair.router, pair.gate):
        router.run("nft", "add table ip quiet; add chain ip quiet out { type filter hook output priority 0; }; "
                   "add rule ip quiet out icmp type destination-unreachable drop")
    try:
        yield set_mtu
    finally:
        set_mtu(1500)
        for router in (pair.router, pair.gate):
            router.run("nft", "delete table ip quiet")


def test_tcp_passes_every_narrow_link_that_tells_nobody(pair):
    """F72, over IPv4: whatever the underlay's MTU, though no ICMP comes back."""
    with silent_hop(pair) as set_mtu:
        for mtu in (1280, 1380, 1420, 1492, 9000, 1500):
            set_mtu(mtu)
            for size in (1280, 1420):
                wait_until(lambda: answered(pair, 1, "-s", size - 28)[0] == 1, 10, f"{size} bytes over {mtu}")
            carry(pair)


def test_an_underlay_that_loses_reorders_doubles_and_spoils_costs_packets_and_no_more(pair):
    """F73. Nothing of it comes to the overlay but loss."""
    got = {}
    try:
        for what in ("loss 0%", "delay 2ms reorder 20% duplicate 10% corrupt 1%", "loss 10%", "loss 30%"):
            pair.router.run("tc", "qdisc", "replace", "dev", "lan", "root", "netem", *what.split())
            pair.router.run("tc", "qdisc", "replace", "dev", "to-gate", "root", "netem", *what.split())
            got[what], doubled = answered(pair)
            assert not doubled, what
            if "loss" not in what:
                carry(pair, timeout=60)
    finally:
        for device in ("lan", "to-gate"):
            pair.router.run("tc", "qdisc", "del", "dev", device, "root", check=False)
    print(got)
    none, rough, ten, thirty = got.values()
    assert none == 200 and rough >= 180 and none > ten > thirty > 40, got
    for agent in (pair.a, pair.b):
        assert agent.process.is_running() and agent.plan() == []


def test_marks_of_congestion_come_through_and_classes_stay_inside(pair):
    """F74, RFC 6040: a router's CE on the outer header comes to the inner one, where the sender knows ECN; the inner class is
    untouched, and not told to the underlay."""
    def marks(*cases):
        rules = "".join(f"add rule inet seen in iifname {device} {what} counter\n" for device, what in cases)
        pair.b.host.run("nft", "-f", "-", input=f"table inet seen\ndelete table inet seen\nadd table inet seen\n"
                        f"add chain inet seen in {{ type filter hook prerouting priority 0; }}\n{rules}")

    def counts():
        lines = pair.b.host.run("nft", "list", "table", "inet", "seen").stdout.splitlines()
        return [int(line.split("packets ")[1].split()[0]) for line in lines if "packets " in line]

    inner, outer = pair.b.device, "lan"
    # EF with ECT(0), and CE on the way; then EF without ECN.
    marks((inner, "ip dscp ef ip ecn ce"), (inner, "ip dscp ef ip ecn ect0"), (outer, "ip dscp ef"))
    pair.router.run("nft", "add table ip congested; add chain ip congested f { type filter hook forward priority 0; }; "
                    "add rule ip congested f ip ecn ect0 ip ecn set ce")
    try:
        assert answered(pair, 5, "-Q", 0xB8 | 2)[0] == 5
        assert counts() == [5, 0, 0]
    finally:
        pair.router.run("nft", "delete table ip congested")
    marks((inner, "ip dscp ef ip ecn not-ect"), (inner, "ip ecn ce"), (outer, "ip dscp ef"))
    assert answered(pair, 5, "-Q", 0xB8)[0] == 5
    assert counts() == [5, 0, 0]


def test_a_controller_whose_ipv6_leads_nowhere_is_reached_by_ipv4(pair):
    """F75: happy eyeballs."""
    for line in ("addr add 2001:db8:2::1/64 dev site nodad", "neigh add fe80::1 lladdr 02:00:00:00:00:01 dev site", "route add default via fe80::1 dev site"):
        pair.a.host.ip("-6", *line.split())
    try:
        pair.a.kill()
        pair.a.start()
        began = time.monotonic()
        wait_until(lambda: pair.a.look()["self"]["state"] == "CONNECTED", 20, "connected")
        assert time.monotonic() - began <= 5 + UNSEEN
    finally:
        pair.a.host.ip("-6", "addr", "flush", "dev", "site", "scope", "global")
        pair.a.host.ip("-6", "route", "flush", "default")


NOWHERE = "nameserver 192.0.2.77\n"  # takes packets and says nothing
TROUBLES = {"nobody answers": NOWHERE, "nonsense": "nameserver\n\x01\x02 what\noptions timeout:99999\n" * 100,
            "the search goes in circles": "search net example.net controller.example.net\noptions ndots:15\n" + NOWHERE}


def test_names_that_are_not_found_leave_the_tunnels_alone(pair, hosts):
    """F77: the agent is started anew under each trouble. It has its map from the disk, and answers while it asks for names."""
    with Cover("/etc/resolv.conf") as resolv:
        try:
            hosts.write(names())
            for what, text in TROUBLES.items():
                resolv.write(text)
                pair.a.kill()
                pair.a.start()
                wait_until(lambda: pair.a.look()["self"]["state"] == "CONTROLLER_UNREACHABLE", 30, f"{what}: it knows")
                for _ in range(5):
                    began = time.monotonic()
                    pair.a.look()
                    assert time.monotonic() - began < 0.5 + UNSEEN, what
                assert answered(pair, 5)[0] == 5, what
                assert pair.a.plan() == [], what
        finally:
            hosts.write(names(SERVER4, SERVER6))
        wait_until(lambda: pair.a.look()["self"]["state"] == "CONNECTED", 60, "the name is back")


def test_controller_and_relay_are_reached_over_a_narrow_hop_that_tells_nobody(pair):
    """F72: what TLS says in one go, a full packet of the overlay at the latest, is more than 1280 bytes, and Linux does not look for what fits."""
    relay = Relay(pair.net.host("relay", pair.lan), pair.controller).start()
    relay.host.route("192.0.2.0/24", pair.lan.address_of(pair.router))
    with silent_hop(pair) as set_mtu:
        set_mtu(1280)
        pair.gate.block("meta l4proto udp")
        pair.a.kill()
        pair.a.start()
        wait_until(lambda: pair.a.look()["self"]["state"] == "CONNECTED", 20, "connected")
        wait_until(lambda: [peer["path"] for peer in pair.a.look()["peers"]] == ["RELAY_TLS"], 30, "by the relay")
        for size in (1280, 1420):
            wait_until(lambda: answered(pair, 1, "-s", size - 28)[0] == 1, 10, f"{size} bytes by the relay")
        carry(pair, size=50_000)
    pair.gate.block()

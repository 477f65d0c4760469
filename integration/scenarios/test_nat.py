# SPDX-License-Identifier: Apache-2.0
"""The NATs that other scenarios stand on, measured from outside as RFC 5780 does it, without a program of ours:
how a mapping varies with the destination, who is let in through it, whether it leads back inside, how long it lasts.

The sockets are this process's own, made in the namespaces of the hosts. That a packet does not come is told by
others that were sent after it and have come.
"""
import itertools
import socket
import time

import pytest

from nat import CONE, KINDS, NONE, PORT_RESTRICTED, SYMMETRIC, Nat
from proxy import Proxy
from topology import PATIENCE, Topology, default_route

INDEPENDENT, DEPENDENT = "endpoint-independent", "address and port-dependent"
THEORY = {  # mapping, filtering
    NONE: ("none", "none"),
    CONE: (INDEPENDENT, INDEPENDENT),
    PORT_RESTRICTED: (INDEPENDENT, DEPENDENT),
    SYMMETRIC: (DEPENDENT, DEPENDENT),
}
BOXES = KINDS[1:]
LIFE_SECONDS = 2  # of a mapping, where that is measured
_ports = itertools.count(51820)


def udp(host, port=None):
    """A socket of the host, with a port that no test has used: what NATs remember of others is no matter."""
    with host.inside():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((host.ipv4, port or next(_ports)))
    made.settimeout(5 * PATIENCE)
    return made


def seen(sender, receiver):
    """Sends one packet; whom the receiver takes for its sender."""
    sender.sendto(b"seen", receiver.getsockname())
    text, source = receiver.recvfrom(64)
    assert text == b"seen"
    return source


def comes(stranger, target, receiver, friend):
    """Whether what the stranger sends to the target reaches the receiver. `friend` is a (socket, target) whose
    packets reach it, and come after."""
    stranger.sendto(b"stranger", target)
    heard = set()
    for turn in (b"1", b"2", b"3"):
        friend[0].sendto(turn, friend[1])
        while turn not in heard:
            heard.add(receiver.recv(64))
    return b"stranger" in heard


class Internet:
    """Two public servers with two ports each; behind each kind of NAT two hosts on a segment each."""

    def __init__(self, net):
        self.net = net
        self.segment = net.switch("internet", ipv4="203.0.113.0/24")
        servers = [net.host(name, self.segment) for name in ("server1", "server2")]
        self.near, self.near_port2, self.far = udp(servers[0], 3478), udp(servers[0], 3479), udp(servers[1], 3478)
        self.server = servers[0]
        self.hosts, self.nats = {NONE: [net.host("public", self.segment)]}, {}
        for number, kind in enumerate(BOXES):
            homes = [net.switch(f"home{number}{i}", ipv4=f"192.168.{10 * number + i}.0/24") for i in range(2)]
            self.hosts[kind] = [net.host(f"in{number}{i}", home) for i, home in enumerate(homes)]
            self.nats[kind] = nat = Nat(net, f"nat{number}", inside=homes, outside=self.segment, kind=kind, hairpin=kind == CONE)
            for host, home in zip(self.hosts[kind], homes):
                default_route(host, home, nat)

    def mapping(self, inside):
        """How the source that the servers see varies with the destination."""
        first, other_port, other_address = (seen(inside, to) for to in (self.near, self.near_port2, self.far))
        assert seen(inside, self.near) == first
        if first == other_port == other_address:
            return "none" if first == inside.getsockname() else INDEPENDENT
        return "address-dependent" if first == other_port else DEPENDENT

    def filtering(self, inside):
        """Who else may use what a packet to the near server opened."""
        mapped = seen(inside, self.near)
        if comes(self.far, mapped, inside, (self.near, mapped)):
            return "none" if mapped == inside.getsockname() else INDEPENDENT
        return "address-dependent" if comes(self.near_port2, mapped, inside, (self.near, mapped)) else DEPENDENT

    def hairpin(self, a, b):
        mapped = seen(b, self.near)
        return comes(a, mapped, b, (self.near, mapped))


@pytest.fixture(scope="module")
def internet():
    with Topology() as net:
        yield Internet(net)


def test_each_maps_and_filters_as_its_kind_says(internet, show):
    hosts = {kind: internet.hosts[kind][0] for kind in KINDS}
    found = {kind: (internet.mapping(udp(host)), internet.filtering(udp(host))) for kind, host in hosts.items()}
    show(f"{'NAT':16} {'mapping':26} filtering", *(f"{kind:16} {found[kind][0]:26} {found[kind][1]}" for kind in KINDS))
    assert found == THEORY


def test_two_hosts_with_one_port_get_a_mapping_each(internet):
    for kind in BOXES:
        port = next(_ports)
        inner = [udp(host, port) for host in internet.hosts[kind]]
        mapped = [seen(one, internet.near) for one in inner]
        assert mapped[0] != mapped[1], kind
        for one, address in zip(inner, mapped):
            internet.near.sendto(b"answer", address)
            assert one.recv(64) == b"answer"
            assert internet.mapping(one) == THEORY[kind][0], kind


def test_a_stranger_who_came_first_spoils_no_mapping(internet):
    """Two nodes that try each other at once: the packet that is early is dropped, and leaves nothing behind."""
    for kind in BOXES:
        inside = udp(internet.hosts[kind][0])
        mapped = seen(inside, internet.near)
        assert comes(internet.far, mapped, inside, (internet.near, mapped)) == (kind == CONE)
        assert (seen(inside, internet.far) == mapped) == (kind != SYMMETRIC)
        assert comes(internet.far, mapped, inside, (internet.near, mapped)) == (kind != SYMMETRIC), "now it is asked for"


def test_a_hairpin_leads_back_inside_and_only_where_there_is_one(internet):
    """RFC 4787 REQ-9: whom it leads to sees the other's public address."""
    a, b = (udp(host) for host in internet.hosts[CONE])
    mapped = {a: seen(a, internet.near), b: seen(b, internet.near)}
    a.sendto(b"hairpin", mapped[b])
    assert b.recvfrom(64) == (b"hairpin", mapped[a])
    b.sendto(b"answer", mapped[a])
    assert a.recvfrom(64) == (b"answer", mapped[b])
    assert not comes(a, b.getsockname(), b, (internet.near, mapped[b])), "by another way than the hairpin"
    for kind in (PORT_RESTRICTED, SYMMETRIC):
        assert not internet.hairpin(*(udp(host) for host in internet.hosts[kind])), kind


def test_a_mapping_that_nobody_inside_uses_is_forgotten(internet):
    inner, mapped = {kind: udp(internet.hosts[kind][0]) for kind in BOXES}, {}
    for life, expected in ((LIFE_SECONDS, []), (30, list(BOXES))):
        for kind in BOXES:
            internet.nats[kind].keep_mappings(life)
            mapped[kind] = seen(inner[kind], internet.near)
        time.sleep(LIFE_SECONDS * 1.5)  # the silence is the input of this scenario
        for kind in BOXES:
            internet.near.sendto(b"late", mapped[kind])
        known = []
        for kind in BOXES:
            inner[kind].settimeout(5 * PATIENCE if expected else 0.2)
            try:
                inner[kind].recv(64)
                known.append(kind)
            except TimeoutError:
                pass
        assert known == expected, life


def test_a_rebind_gives_other_ports_and_the_old_ones_are_dead(internet):
    for kind in BOXES:
        inside = udp(internet.hosts[kind][0])
        before = seen(inside, internet.near)
        internet.nats[kind].rebind()
        after = seen(inside, internet.far)
        assert after[0] == before[0] and after[1] != before[1], kind
        assert not comes(internet.near, before, inside, (internet.far, after)), kind
        assert (seen(inside, internet.near) == after) == (kind != SYMMETRIC)


def test_a_new_public_address_is_the_one_that_is_seen(internet):
    nat, inside = internet.nats[PORT_RESTRICTED], udp(internet.hosts[PORT_RESTRICTED][0])
    assert seen(inside, internet.near)[0] == nat.public
    nat.renumber(internet.segment, "203.0.113.200/24")
    assert seen(inside, internet.near)[0] == nat.public == "203.0.113.200"


def test_a_wall_drops_udp_and_lets_tcp_pass_until_it_is_gone(internet):
    nat, host = internet.nats[PORT_RESTRICTED], internet.hosts[PORT_RESTRICTED][0]
    inside, listener = udp(host), tcp_listener(internet.server, 443)
    mapped = seen(inside, internet.near)
    nat.block("meta l4proto udp")
    inside.sendto(b"lost", internet.near.getsockname())
    internet.near.sendto(b"lost", mapped)
    connect(host, listener.getsockname()).close()
    nat.block()
    assert seen(inside, internet.near) == mapped, "what conntrack knew is not lost by a wall"
    internet.near.sendto(b"answer", mapped)
    assert inside.recv(64) == b"answer"


def test_two_nats_in_a_row_filter_as_the_stricter_of_them(internet):
    net = internet.net
    carrier, home = net.switch("carrier", ipv4="100.64.0.0/24"), net.switch("home", ipv4="192.168.77.0/24")
    host = net.host("subscriber", home)
    outer = Nat(net, "cgn", inside=carrier, outside=internet.segment, kind=CONE)
    inner = Nat(net, "cpe", inside=home, outside=carrier, kind=PORT_RESTRICTED)
    default_route(host, home, inner)
    default_route(inner, carrier, outer)
    assert internet.mapping(udp(host)) == INDEPENDENT
    assert internet.filtering(udp(host)) == DEPENDENT
    assert seen(udp(host), internet.near)[0] == outer.public


def tcp_listener(host, port):
    with host.inside():
        made = socket.create_server((host.ipv4, port))
    made.settimeout(5 * PATIENCE)
    return made


def connect(host, address):
    with host.inside():
        return socket.create_connection(address, timeout=5 * PATIENCE)


def test_a_proxy_is_the_only_way_out_and_leads_to_443_alone(internet):
    net = internet.net
    office = net.switch("office", ipv4="192.168.78.0/24")
    host = net.host("clerk", office)
    proxy = Proxy(net, "proxy", inside=office, outside=internet.segment)
    default_route(host, office, proxy.host)
    server = tcp_listener(internet.server, 443)
    tunnel, refused = connect(host, proxy.address), connect(host, proxy.address)
    target = f"{internet.server.ipv4}:443"
    tunnel.sendall(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n".encode())
    assert tunnel.recv(1024).startswith(b"HTTP/1.1 200 ")
    far, _ = server.accept()
    tunnel.sendall(b"there")
    far.sendall(b"and back")
    assert far.recv(64) == b"there" and tunnel.recv(64) == b"and back"
    refused.sendall(f"CONNECT {target.replace(':443', ':8443')} HTTP/1.1\r\n\r\n".encode())
    assert refused.recv(1024).startswith(b"HTTP/1.1 403 ")
    assert proxy.tunnels() == [target]
    assert not host.ping(internet.server.ipv4, timeout=1, check=False), "past the proxy"


def test_a_narrow_link_lets_1280_bytes_pass_and_no_more(internet):
    narrow = internet.net.switch("narrow", ipv4="192.168.79.0/24", mtu=1280)
    host = internet.net.host("traveller", narrow)
    default_route(host, narrow, Nat(internet.net, "hotel", inside=narrow, outside=internet.segment))

    def ping(size):
        return host.run("ping", "-n", "-q", "-c1", "-w1", "-M", "do", "-s", size - 28, internet.server.ipv4, check=False).returncode == 0

    assert any(ping(1280) for _ in range(5)) and not ping(1281)

# SPDX-License-Identifier: Apache-2.0
"""The ground that all other scenarios stand on, without a program of ours."""
import re
import subprocess

from nat import Nat
from pulse import Pulse
from topology import default_route, wait_until


def plain_wireguard(host, device, address, port):
    """A WireGuard device made by hand; returns its public key."""
    key = subprocess.run(["wg", "genkey"], check=True, capture_output=True, text=True).stdout
    host.ip("link", "add", device, "type", "wireguard")
    host.run("wg", "set", device, "listen-port", port, "private-key", "/dev/stdin", input=key)
    host.ip("addr", "add", address, "dev", device)
    host.ip("link", "set", device, "up")
    return host.run("wg", "show", device, "public-key").stdout.strip()


def test_two_namespaces_talk_through_plain_wireguard(net):
    lan = net.switch("lan", ipv4="203.0.113.0/24", ipv6="2001:db8:1::/64")
    a, b = net.host("a", lan), net.host("b", lan)
    keys = {a: plain_wireguard(a, "wg0", "10.9.0.1/24", 51820), b: plain_wireguard(b, "wg0", "10.9.0.2/24", 51820)}
    a.run("wg", "set", "wg0", "peer", keys[b], "allowed-ips", "10.9.0.2/32", "endpoint", f"[{b.ipv6}]:51820")
    b.run("wg", "set", "wg0", "peer", keys[a], "allowed-ips", "10.9.0.1/32", "endpoint", f"[{a.ipv6}]:51820")
    a.ping("10.9.0.2", count=3)


def test_a_pulse_tells_since_when_a_peer_is_known_and_how_long_it_was_silent(net):
    lan = net.switch("lan", ipv4="203.0.113.0/24")
    a, b = net.host("a", lan), net.host("b", lan)
    a.ip("route", "add", "unreachable", "10.9.0.0/24", "metric", 4000)
    with Pulse() as pulse:
        pulse.add("a>b", a, "10.9.0.2")
        keys = {host: plain_wireguard(host, "wg0", f"10.9.0.{i}/24", 51820) for i, host in enumerate((a, b), 1)}
        b.run("wg", "set", "wg0", "peer", keys[a], "allowed-ips", "10.9.0.1/32")
        before = pulse.now()
        assert pulse.known("a>b") is None, "a device without the peer"
        a.run("wg", "set", "wg0", "peer", keys[b], "allowed-ips", "10.9.0.2/32", "endpoint", f"{b.ipv4}:51820")
        wait_until(lambda: pulse.first("a>b", before), what="b answers")
        assert before < pulse.known("a>b") <= pulse.first("a>b")
        b.unplug()
        gone = pulse.now()
        wait_until(lambda: pulse.now() > gone + 1, what="a second has passed")
        assert pulse.silence("a>b", gone + 0.2) > 0.5
        b.plug()
        back = pulse.now()
        wait_until(lambda: pulse.first("a>b", back), what="b answers again")
        again = pulse.first("a>b", back)
        assert pulse.silence("a>b", gone) >= back - gone - 0.2 and pulse.silence("a>b", back, again) <= again - back
        asked, lost = pulse.unanswered("a>b", before, back)
        assert 0 < lost < asked and pulse.doubles("a>b") == 0


def test_a_nat_lets_out_and_not_in(net):
    internet = net.switch("internet", ipv4="203.0.113.0/24")
    home = net.switch("home", ipv4="192.168.7.0/24")
    server, inside = net.host("server", internet), net.host("inside", home)
    nat = Nat(net, "nat", inside=home, outside=internet)
    default_route(inside, home, nat)
    server.route("192.168.7.0/24", internet.address_of(nat))
    server.run("nft", "add table ip seen; add chain ip seen in { type filter hook input priority 0; };"
               f"add rule ip seen in ip saddr {internet.address_of(nat)} icmp type echo-request counter")
    inside.ping(server.ipv4)
    assert "packets 1" in server.run("nft", "list", "table", "ip", "seen").stdout
    assert not server.ping(inside.ipv4, timeout=1, check=False)


def test_netem_delays(net):
    lan = net.switch("lan", ipv4="203.0.113.0/24", netem="delay 50ms")
    a, b = net.host("a", lan), net.host("b", lan)
    answer = a.run("ping", "-n", "-c", 3, "-i", "0.2", b.ipv4).stdout
    assert float(re.search(r"= ([\d.]+)/", answer)[1]) >= 200, answer  # four ends, 50 ms each


def test_a_rebooted_host_has_its_links_and_nothing_else(net):
    lan = net.switch("lan", ipv4="203.0.113.0/24", ipv6="2001:db8:1::/64")
    a, b = net.host("a", lan), net.host("b", lan)
    a.ip("link", "add", "dummy0", "type", "dummy")
    process = a.popen("sleep", 1000)
    a.reboot()
    assert not process.is_running() and not a.has_device("dummy0")
    b.ping(a.ipv4)
    wait_until(lambda: b.ping(a.ipv6, check=False), what="IPv6 after the reboot")

# SPDX-License-Identifier: Apache-2.0
"""IPsec over underlays that are not one plain network: a NAT at one end, a node that moves, a narrow link that tells nobody, a peer that vanishes."""
import pytest

from charon import Mesh, kernel_spis
from nat import Nat
from topology import default_route, wait_until


@pytest.fixture(scope="module")
def mesh():
    with Mesh("a") as overlay:
        overlay.home = overlay.net.switch("home", ipv4="192.168.7.0/24")
        overlay.nat = Nat(overlay.net, "nat", inside=overlay.home, outside=overlay.lan)
        host = overlay.net.host("n", overlay.home)
        default_route(host, overlay.home, overlay.nat)
        overlay.join("n", host)
        overlay.wait_until_all_know_all()
        yield overlay


def test_a_node_behind_a_nat_and_one_before_it_reach_each_other(mesh):
    mesh.n.ping(mesh.a)
    outside, inside = mesh.tunnels("a")["n"], mesh.tunnels("n")["a"]
    assert outside["natRemote"] and not outside["natLocal"] and outside["inUdp"]
    assert inside["natLocal"] and not inside["natRemote"] and inside["inUdp"]
    assert outside["remoteEndpoint"].split(":")[0] == mesh.nat.public
    mesh.a.ping(mesh.n)


def test_a_node_that_moves_keeps_its_tunnels(mesh):
    """MOBIKE: another address, as from another network, and the same SAs."""
    mesh.a.ping(mesh.n)
    before = kernel_spis(mesh.n.host)
    mesh.n.host.renumber(mesh.home, "192.168.7.99/24")
    mesh.n.ping(mesh.a, timeout=30)
    wait_until(lambda: mesh.tunnels("n")["a"].get("localEndpoint", "").startswith("192.168.7.99"), 30, "it speaks from there")
    assert kernel_spis(mesh.n.host) & before, "the SAs are what they were"


def test_a_narrow_link_that_tells_nobody_loses_nothing(mesh):
    """Path MTU 1280 and no ICMP: what is too long for it goes in fragments, as the outer packets carry no DF."""
    narrow = mesh.net.switch("narrow", ipv4="192.168.79.0/24", mtu=1280)
    router = mesh.net.router("hop", narrow, mesh.lan)
    router.run("nft", "-f", "-", input="table ip mute { chain out { type filter hook output priority 0; icmp type destination-unreachable drop; }; }")
    host = mesh.net.host("deep", narrow)
    default_route(host, narrow, router)
    for other in (mesh.a.host, mesh.controller.host):
        other.route("192.168.79.0/24", mesh.lan.address_of(router))
    deep = mesh.join("deep", host)
    mesh.wait_until_all_know_all()
    deep.ping(mesh.a)
    for size in (1280, 1380):
        done = mesh.a.host.run("ping", "-n", "-q", "-c", 5, "-i", 0.2, "-M", "do", "-s", size - 28, deep.addresses()[0], check=False)
        assert " 0% packet loss" in done.stdout, (size, done.stdout)


def test_a_peer_that_vanishes_is_given_up_and_is_there_again_when_it_is(mesh):
    """F94. DPD after 15 s without a word, and half a minute of tries."""
    address = mesh.n.addresses()[0]
    mesh.a.ping(mesh.n)
    mesh.n.suspend()
    traffic = mesh.a.host.popen("ping", "-n", "-q", address, name="traffic")
    wait_until(lambda: mesh.tunnels("a")["n"]["state"] != "UP", 75, "a has given it up")
    traffic.stop()
    mesh.n.resume()
    wait_until(lambda: mesh.n.host.ping(mesh.a.addresses()[0], timeout=2, check=False), 60, "n is there again")
    mesh.a.ping(mesh.n, timeout=30)

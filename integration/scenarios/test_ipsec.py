# SPDX-License-Identifier: Apache-2.0
"""Networks over IPsec, with the real charon: a mesh on demand, and what it survives."""
import re
import signal

import pytest

from charon import Mesh, devices, kernel_spis, routes
from product import FloodPing
from topology import wait_until


@pytest.fixture(scope="module")
def mesh():
    with Mesh("a", "b", "c", "d") as overlay:
        yield overlay


def test_a_mesh_comes_up_with_the_first_packets(mesh):
    assert kernel_spis(mesh.a.host) == set(), "nothing is set up before it is needed"
    for one in mesh.agents.values():
        for other in mesh.agents.values():
            if one is not other:
                one.ping(other)
    peer = mesh.peer_of("a", "b")
    assert peer["path"] == "DIRECT" and peer["dataPlane"] == "IPSEC" and peer["cipher"].startswith("AES_GCM_16-256")
    assert 0 < peer["rekeyInSeconds"] <= 3600 and peer["endpoint"].rsplit(":", 1)[0].strip("[]") in (mesh.b.host.ipv4, mesh.b.host.ipv6)
    assert "IPSEC AES_GCM_16-256" in mesh.a.ctl("status").stdout
    # No device of WireGuard, one of xfrm, and the address on it.
    assert devices(mesh.a, "cv-") == [] and len(devices(mesh.a, "cx-")) == 1
    assert mesh.a.own()["health"] == []


def test_nothing_leaves_in_clear(mesh):
    """F58: all SAs and policies flushed under a running ping; what the wire carries is ESP and IKE."""
    wire = mesh.a.host.popen("tcpdump", "-n", "-i", "lan", "-Q", "out", "-l", "net 10.100.0.0/24 or esp", name="wire")
    wait_until(lambda: "listening on" in wire.log(), 10, "tcpdump listens")
    flood = FloodPing(mesh.a.host, mesh.b.addresses()[0])
    for what in ("state", "policy"):
        mesh.a.host.ip("xfrm", what, "flush")
        mesh.a.ping(mesh.b, timeout=20, family=4)
    flood.stop()
    wire.stop()
    said = wire.log()
    assert "ESP(spi=" in said and not re.search(r"10\.100\.0\.\d+ >", said), said[-2000:]


def test_both_ends_begin_at_once_and_one_tunnel_stays(mesh):
    network = mesh.a.own()["networks"][0]["id"]
    names = {"a": f"cvlan-{mesh.node('b')['id']}", "b": f"cvlan-{mesh.node('a')['id']}"}
    mesh.a.ping(mesh.b)
    mesh.charons["a"].swanctl("--terminate", "--ike", names["a"], "--timeout", "10")
    begun = [mesh.agents[one].host.popen("swanctl", "--initiate", "--child", network, "--ike", name, "--timeout", "10",
                                         "--uri", f"unix://{mesh.charons[one].socket}", name=f"begin-{one}") for one, name in names.items()]
    for one in begun:
        one.popen.wait(30)
    for one, name in names.items():
        wait_until(lambda: mesh.charons[one].swanctl("--list-sas", "--ike", name).count("ESTABLISHED") == 1, 20, "one IKE_SA stays")
    mesh.a.ping(mesh.b)
    wait_until(lambda: kernel_spis(mesh.a.host) == mesh.charons["a"].child_spis(), 20, "no SA without its owner")


def test_a_killed_charon_keeps_its_tunnels_and_the_next_one_takes_over(mesh):
    """F91."""
    mesh.a.ping(mesh.b)
    before = kernel_spis(mesh.a.host)
    flood = FloodPing(mesh.a.host, mesh.b.addresses()[0])
    mesh.charons["a"].kill()
    mesh.a.host.ping(mesh.b.addresses()[0], count=5)
    assert kernel_spis(mesh.a.host) >= before, "the kernel forwards"
    mesh.charons["a"].start()

    def is_taken_over():
        known = mesh.charons["a"].child_spis()
        return known and kernel_spis(mesh.a.host) == known and not known & before
    wait_until(is_taken_over, 30, "new SAs, and none that nobody knows")
    sent, lost = flood.stop()
    print(f"charon killed and started: {lost} of {sent} lost")
    assert lost <= sent * 0.01
    wait_until(lambda: kernel_spis(mesh.b.host) == mesh.charons["b"].child_spis(), 30, "none at the other end either")


def test_a_charon_that_stands_still_is_ended_and_the_next_one_takes_over(mesh):
    """F91: the agent ends it, as nobody else could; here we are its unit, which starts another."""
    mesh.a.ping(mesh.b)
    charon = mesh.charons["a"]
    charon.process.popen.send_signal(signal.SIGSTOP)
    mesh.a.host.ping(mesh.b.addresses()[0], count=3)
    wait_until(lambda: not charon.process.is_running(), 20, "it is ended")
    wait_until(lambda: "IPSEC" in [item["code"] for item in mesh.a.own()["health"]], 20, "status says so")
    charon.start()
    wait_until(lambda: mesh.peer_of("a", "b")["path"] == "DIRECT", 30, "the tunnel is charon's again")
    wait_until(lambda: mesh.a.own()["health"] == [], 20, "all is well")


def test_an_agent_that_is_killed_keeps_its_tunnels(mesh):
    mesh.a.ping(mesh.b)
    flood = FloodPing(mesh.a.host, mesh.b.addresses()[0])
    mesh.a.kill()
    mesh.a.start()
    mesh.a.wait_until_converged()
    assert flood.stop()[1] == 0


def test_a_network_changes_its_data_plane_under_ping_and_keeps_its_addresses(mesh):
    addresses = mesh.a.addresses()
    mesh.a.ping(mesh.b)
    for data_plane in ("wireguard", "ipsec"):
        flood = FloodPing(mesh.a.host, mesh.b.addresses()[0])
        mesh.switch_to(data_plane)
        sent, lost = flood.stop()
        print(f"to {data_plane}: {lost} of {sent} lost")
        assert lost <= sent * 0.001, "the new tunnel stands before the old one goes"
        assert mesh.a.addresses() == addresses
        assert mesh.peer_of("a", "b")["dataPlane"] == data_plane.upper()
        # All is by the network's prefix again.
        assert "10.100.0.0/24" in routes(mesh.a.host) and "10.100.0." not in routes(mesh.a.host).replace("10.100.0.0/24", "").replace("src 10.100.0.", "")


def test_a_tunnel_is_shown_rekeyed_and_ended_by_its_node(mesh):
    mesh.a.ping(mesh.b)
    one = mesh.tunnels("a")["b"]
    assert one["state"] == "UP" and one["ikeVersion"] == 2 and one["mobike"] and not one["natLocal"] and not one["natRemote"]
    assert one["remoteIdentity"].startswith(mesh.node("b")["id"]) and one["localIdentity"].startswith(mesh.node("a")["id"])
    assert {one["spiIn"], one["spiOut"]} <= kernel_spis(mesh.a.host)
    assert mesh.tunnels("b")["a"]["spiIn"] == one["spiOut"]
    assert "Peer's identity" in mesh.a.ctl("ipsec", "show", "b").stdout
    flood = FloodPing(mesh.a.host, mesh.b.addresses()[0])
    mesh.a.ctl("ipsec", "rekey", "b")
    wait_until(lambda: mesh.tunnels("a")["b"].get("spiIn") not in (None, one["spiIn"]), 20, "there are new keys")
    wait_until(lambda: mesh.tunnels("a")["b"]["ikeSpis"] != one["ikeSpis"], 20, "for IKE too")
    assert flood.stop()[1] == 0
    mesh.a.ctl("ipsec", "terminate", "b")
    wait_until(lambda: mesh.tunnels("a")["b"]["state"] == "IDLE", 20, "there is none")
    mesh.a.ping(mesh.b)
    assert mesh.tunnels("a")["b"]["state"] == "UP", "the next packet sets one up"
    nobody = mesh.a.ctl("ipsec", "rekey", "nobody", check=False)
    assert nobody.returncode == 3 and "no peer" in nobody.stderr


def test_a_revoked_node_is_cut(mesh):
    mesh.a.ping(mesh.d)
    address = mesh.d.addresses()[0]
    mesh.controller.ctl("node", "revoke", "d", "--tenant", "acme", "--yes")
    wait_until(lambda: not mesh.a.host.ping(address, timeout=1, check=False), 20, "d is cut")
    wait_until(lambda: "d" not in [peer["name"] for peer in mesh.a.look()["peers"]], 20, "d is no peer")
    assert mesh.node("b")["id"] in mesh.charons["a"].swanctl("--list-conns")

# SPDX-License-Identifier: Apache-2.0
"""dataPlane AUTO: a node with a tag is reached over IPsec, and the others among each other by WireGuard, in one network."""
import pytest

from charon import Mesh, devices, routes
from product import FloodPing
from topology import wait_until


@pytest.fixture(scope="module")
def mesh():
    with Mesh("a", "b", "c", data_plane="wireguard") as overlay:
        overlay.controller.ctl("tag", "create", "bank", "--tenant", "acme")
        overlay.change("--data-plane", "AUTO", "--ipsec-tags", "bank")
        yield overlay


def plane(mesh, a, b):
    return mesh.peer_of(a, b)["dataPlane"]


def tag(mesh, name, tags):
    mesh.controller.ctl("node", "update", name, "--tenant", "acme", "--tags", tags)


def test_a_node_with_the_tag_is_reached_over_ipsec_and_no_other(mesh):
    for one in mesh.agents.values():
        one.wait_until_converged()
        assert devices(one, "cx-") == [], "nobody asks for IPsec"
    for other in (mesh.a, mesh.c):
        mesh.b.ping(other)
    flood = FloodPing(mesh.b.host, mesh.a.addresses()[0])
    bystander = FloodPing(mesh.b.host, mesh.c.addresses()[0])
    tag(mesh, "a", "bank")
    wait_until(lambda: plane(mesh, "b", "a") == plane(mesh, "c", "a") == plane(mesh, "a", "b") == "IPSEC", 60, "all go to a by IPsec")
    wait_until(lambda: devices(mesh.a, "cv-") == [], 60, "a has no WireGuard left")
    sent, lost = flood.stop()
    assert bystander.stop()[1] == 0
    assert plane(mesh, "b", "c") == plane(mesh, "c", "b") == "WIREGUARD"
    assert len(devices(mesh.b, "cv-")) == len(devices(mesh.b, "cx-")) == 1, "b has both"
    a4, c4 = mesh.a.addresses()[0], mesh.c.addresses()[0]
    assert f"{a4} dev {devices(mesh.b, 'cx-')[0]}" in routes(mesh.b.host) and f"unreachable {a4}" in routes(mesh.b.host)
    assert f"dev {devices(mesh.b, 'cv-')[0]}" in mesh.b.host.ip("route", "get", c4)
    wait_until(lambda: a4 not in str(mesh.b.wireguard()), 60, "its WireGuard does not know a")
    for one, other in ((mesh.a, mesh.b), (mesh.b, mesh.c), (mesh.c, mesh.a)):
        one.ping(other)
    print(f"a node got a tag: {lost} of {sent} lost")
    assert lost <= sent * 0.001


def test_who_comes_in_with_the_tag_is_never_reached_by_wireguard(mesh):
    """Not for the moment either that a peer takes to move from one to the other."""
    mesh.join("d", mesh.net.host("d", mesh.lan), token=mesh.controller.token(tags="bank"))
    mesh.wait_until_all_know_all()
    assert devices(mesh.d, "cv-") == [] and plane(mesh, "b", "d") == "IPSEC"
    assert mesh.d.addresses()[0] not in str(mesh.b.wireguard())
    mesh.b.ping(mesh.d)


def test_an_agent_that_starts_anew_finds_each_peer_where_it_is(mesh):
    floods = [FloodPing(mesh.b.host, one.addresses()[0]) for one in (mesh.a, mesh.c)]
    mesh.b.kill()
    mesh.b.start()
    mesh.b.wait_until_converged()
    assert [flood.stop()[1] for flood in floods] == [0, 0]
    assert plane(mesh, "b", "a") == "IPSEC" and plane(mesh, "b", "c") == "WIREGUARD"


def test_a_node_that_loses_the_tag_goes_back(mesh):
    flood = FloodPing(mesh.b.host, mesh.a.addresses()[0])
    tag(mesh, "a", "")
    wait_until(lambda: plane(mesh, "b", "a") == plane(mesh, "a", "b") == "WIREGUARD", 60, "a is reached by WireGuard")
    wait_until(lambda: mesh.a.addresses()[0] not in routes(mesh.b.host), 60, "no route of its own is left")
    sent, lost = flood.stop()
    print(f"a node lost a tag: {lost} of {sent} lost")
    assert lost <= sent * 0.001

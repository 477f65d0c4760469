# SPDX-License-Identifier: Apache-2.0
"""A gateway of two tenants, which have the same addresses and the same subnet behind it: who reaches what through it."""
import os

import pytest

from product import REPAIR_SECONDS, UNSEEN, Agent, Controller, FloodPing, Vrouter, program
from topology import Topology, wait_until

SITE, PRINTER = "192.168.77.0/24", "192.168.77.9"


class World:
    """One controller, the tenants acme and beta each with a hub `net` of nodes a and b, and for each a site with a printer."""

    def __init__(self, net):
        self.net = net
        self.lan = self.net.switch("lan", ipv4="203.0.113.0/24", ipv6="2001:db8:1::/64")
        self.controller = Controller(self.net.host("server", self.lan)).start()
        self.gateway = Vrouter(self.net.host("gw", self.lan)).start()
        self.nodes, self.sites, self.printers, self.tenants = {}, {}, {}, {}
        for tenant in ("acme", "beta"):
            self.controller.ctl("tenant", "create", tenant)
            self.controller.ctl("network", "create", "net", "--tenant", tenant, "--ipv4", "10.100.0.0/24", "--ipv6", "auto", "--topology", "hub")
            before = {one.namespace for one in self.gateway.tenants()}
            self.gateway.up(self.controller.token(tenant, role="vrouter"))
            self.tenants[tenant], = [one for one in self.gateway.tenants() if one.namespace not in before]
            self.controller.ctl("vrouter", "create", "gw", "--tenant", tenant, "--node", "gw", "--networks", "net", "--routes", SITE)
            self.site(tenant)
            for name in ("a", "b"):
                agent = self.nodes[tenant, name] = Agent(self.net.host(f"{tenant}-{name}", self.lan)).start()
                agent.up(self.controller.token(tenant), name=name)

    def site(self, tenant):
        segment = self.sites[tenant] = self.net.switch(f"site-{tenant}")
        segment.attach(self.gateway.host, addresses=[])
        self.tenants[tenant].takes(segment, "192.168.77.1/24")
        self.printers[tenant] = self.net.host(f"printer-{tenant}")
        segment.attach(self.printers[tenant], addresses=[f"{PRINTER}/24"])
        self.printers[tenant].route("10.100.0.0/24", "192.168.77.1")


@pytest.fixture(scope="module")
def world():
    with Topology() as net:
        made = World(net)
        yield made
        made.gateway.teardown()


def reaches(host, address, what):
    wait_until(lambda: host.ping(address, timeout=2, check=False), 20, what)


def test_nodes_of_a_hub_reach_each_other_through_it_alone(world):
    for tenant in world.tenants:
        a, b = world.nodes[tenant, "a"], world.nodes[tenant, "b"]
        reaches(a.host, b.addresses()[0], f"{tenant}: a reaches b")
        reaches(b.host, a.addresses()[1], f"{tenant}: b reaches a by IPv6")
        assert len(a.wireguard()) == 1, "its one peer is the gateway"
        assert a.peer("gw")["path"] == "DIRECT" and a.peer("gw")["routes"] == [SITE]
        assert a.peer("b")["path"] == "VROUTER" and a.peer("b")["vrouter"] == "gw"
        shown = a.ctl("status").stdout
        assert "VROUTER gw" in shown and f"Through gw: {SITE}" in shown
        assert a.own()["health"] == [] and a.plan() == []
    assert world.gateway.plan() == []
    answer = world.gateway.ctl("ping", "a", "-c", 1).stdout
    assert "10.100.0." in answer, answer
    assert world.gateway.host.run("wg", "show", "interfaces").stdout == "", "devices are in the tenants' namespaces"


def test_nodes_reach_the_subnet_behind_it_and_it_them(world):
    for tenant, printer in world.printers.items():
        a = world.nodes[tenant, "a"]
        reaches(a.host, PRINTER, f"{tenant}: a reaches the printer")
        reaches(printer, a.addresses()[0], f"{tenant}: the printer reaches a")
        assert f"{SITE} dev {a.device}" in a.host.ip("route", "show", "table", "52000")


def test_tenants_with_the_same_addresses_never_meet(world):
    """Both tenants' nodes and printers have one address: what one says is seen on its own links and on no other's."""
    wires = {tenant: [printer.popen("tcpdump", "-n", "-l", "-i", world.sites[tenant].name, "icmp", name="wire"),
                      world.tenants[tenant].popen("tcpdump", "-n", "-l", "-i", world.tenants[tenant].devices()[0], "icmp", name=f"tunnel-{tenant}")]
             for tenant, printer in world.printers.items()}
    for wire in (one for both in wires.values() for one in both):
        wait_until(lambda: "listening on" in wire.log(), 20, "tcpdump listens")
    for size, tenant in ((111, "acme"), (222, "beta")):  # by its size a packet is known
        world.nodes[tenant, "a"].host.run("ping", "-n", "-c", 20, "-i", 0.05, "-s", size, PRINTER)
        world.printers[tenant].run("ping", "-n", "-c", 20, "-i", 0.05, "-s", size, world.nodes[tenant, "b"].addresses()[0])
    for tenant, other in (("acme", 222 + 8), ("beta", 111 + 8)):
        own = 341 - other + 8
        for wire in wires[tenant]:
            wait_until(lambda: wire.log().count(f"length {own}") >= 80, 10, f"{tenant}: all its own packets are seen")
            wire.stop()
            assert f"length {other}" not in wire.log(), wire.log()[-2000:]


def test_a_killed_one_loses_nothing_and_the_next_finds_all_as_it_is(world):
    a, before = world.nodes["acme", "a"], world.tenants["acme"].run("ip", "-d", "address").stdout
    flood = FloodPing(a.host, PRINTER)
    world.gateway.kill()
    a.host.ping(world.nodes["acme", "b"].addresses()[0], count=5)
    world.gateway.start()
    wait_until(lambda: world.gateway.state() == "CONNECTED", 20, "it is connected again")
    world.gateway.wait_until_converged()
    sent, lost = flood.stop()
    assert sent > 100 and lost == 0, (sent, lost)
    strip = [line for line in world.tenants["acme"].run("ip", "-d", "address").stdout.splitlines() if "valid_lft" not in line]
    assert strip == [line for line in before.splitlines() if "valid_lft" not in line]


def test_a_new_route_is_there_within_5_s(world):
    a, vrouter = world.nodes["acme", "a"], ("vrouter", "update", "gw", "--tenant", "acme")
    world.controller.ctl(*vrouter, "--routes", f"{SITE},192.168.78.0/24")
    wait_until(lambda: "192.168.78.0/24" in a.host.ip("route", "show", "table", "52000"), REPAIR_SECONDS + UNSEEN, "a has the new route", hard=True)
    world.controller.ctl(*vrouter, "--routes", SITE)
    wait_until(lambda: "192.168.78.0/24" not in a.host.ip("route", "show", "table", "52000"), REPAIR_SECONDS + UNSEEN, "and has it no more", hard=True)
    reaches(a.host, PRINTER, "a reaches the printer")


def test_what_is_deleted_in_a_namespace_is_put_right(world):
    tenant, a = world.tenants["acme"], world.nodes["acme", "a"]
    device, = tenant.devices()
    tenant.run("ip", "link", "del", device)
    wait_until(lambda: tenant.devices() == [device], REPAIR_SECONDS + UNSEEN, "the device is back", hard=True)
    reaches(a.host, PRINTER, "a reaches the printer again")


def test_a_plain_nodes_token_is_refused(world):
    refused = world.gateway.up(world.controller.token("acme"), check=False)
    assert refused.returncode != 0 and "needs one of role VROUTER" in refused.stderr
    refused = world.nodes["acme", "a"].up(world.controller.token("acme", role="vrouter"), check=False)
    assert refused.returncode != 0 and "cvlan-vrouter" in refused.stderr


def tenants_namespaces():
    return sorted(name for name in os.listdir("/run/netns") if name.startswith("cvlan-"))


def test_bootstrap_prints_the_plan_and_makes_no_namespace(world):
    host, before = world.net.host("probe", world.lan), tenants_namespaces()
    done = host.run(program("cvlan-vrouter"), "--config", Vrouter(host).config, "--bootstrap", check=False, timeout=60,
                    env={**os.environ, "CVLAN_TOKEN": world.controller.token("beta", role="vrouter")})
    assert done.returncode == 0, done.stderr
    assert "add link cv-" in done.stdout and "10.100.0." in done.stdout
    assert tenants_namespaces() == before and len(before) == 2


def test_a_mesh_goes_direct_and_keeps_the_subnet(world):
    a, b = world.nodes["acme", "a"], world.nodes["acme", "b"]
    world.controller.ctl("network", "update", "net", "--tenant", "acme", "--topology", "MESH")
    wait_until(lambda: len(a.wireguard()) == 2 and len(b.wireguard()) == 2, 20, "a and b have each other as peers")
    wait_until(lambda: a.host.ping(b.addresses()[0], timeout=2, check=False) and a.peer("b")["path"] == "DIRECT", 20, "a reaches b directly")
    reaches(a.host, PRINTER, "a reaches the printer")
    assert len(world.nodes["beta", "a"].wireguard()) == 1, "the other tenant's hub is as it was"


def test_down_takes_its_devices_and_leaves_the_administrators(world):
    tenant = world.tenants["acme"]
    world.gateway.ctl("down")
    wait_until(lambda: tenant.devices() == [], REPAIR_SECONDS + UNSEEN, "no device of ours is left", hard=True)
    assert "192.168.77.1/24" in tenant.run("ip", "address", "show", "dev", world.sites["acme"].name).stdout
    world.gateway.up()
    reaches(world.nodes["acme", "a"].host, PRINTER, "a reaches the printer")

# SPDX-License-Identifier: Apache-2.0
"""Other shapes of network: more nodes, NAT, IPv6 alone, several networks and tenants, awkward addresses."""
from nat import Nat
from product import Overlay
from topology import default_route, wait_until


def test_five_nodes_all_pairs():
    names = ["n1", "n2", "n3", "n4", "n5"]
    with Overlay(*names) as overlay:
        addresses = {name: overlay.agents[name].addresses() for name in names}
        assert sorted(pair[0] for pair in addresses.values()) == [f"10.100.0.{i}" for i in range(1, 6)]
        for name in names:
            others = [address for other in names if other != name for address in addresses[other]]
            pings = " && ".join(f"ping -n -q -c1 -W20 {address}" for address in others)
            overlay.agents[name].host.run("sh", "-c", pings)
        for name in names:
            assert overlay.agents[name].plan() == []


def test_one_behind_a_nat_and_one_public():
    with Overlay("public", ipv6=None) as overlay:
        home = overlay.net.switch("home", ipv4="192.168.7.0/24")
        inside = overlay.net.host("inside", home)
        nat = Nat(overlay.net, "nat", inside=home, outside=overlay.lan)
        default_route(inside, home, nat)
        overlay.add("inside", host=inside)
        overlay.wait_until_all_know_all()
        overlay.public.ping(overlay.inside, timeout=30)
        overlay.inside.ping(overlay.public)
        key = overlay.public.public_key()
        keepalive = inside.run("wg", "show", overlay.inside.device, "persistent-keepalive").stdout.split()
        assert keepalive == [key, "25"]
        assert overlay.public.peer("inside")["endpoint"].startswith(overlay.lan.address_of(nat) + ":")


def test_an_underlay_of_ipv6_alone():
    """F75, and of addresses that are unique in one place only."""
    with Overlay("a", "b", ipv4=None, ipv6="fd12:3456:789a:1::/64") as overlay:
        overlay.a.ping(overlay.b, family=4)
        overlay.a.ping(overlay.b, family=6)
        assert overlay.a.peer("b")["endpoint"].startswith(f"[{overlay.b.host.ipv6}]:")


def test_two_networks_on_one_node():
    with Overlay("both", "one") as overlay:
        overlay.controller.ctl("network", "create", "second", "--tenant", "acme", "--ipv4", "10.200.0.0/24", "--ipv6", "none")
        other = overlay.add("other", token=overlay.controller.token(network="second"))
        before = overlay.both.own()["id"]
        overlay.both.up(overlay.controller.token(network="second"))
        own = overlay.both.own()
        assert own["id"] == before and {network["name"] for network in own["networks"]} == {"net", "second"}
        assert len(overlay.both.devices()) == 2 and len({network["listenPort"] for network in own["networks"]}) == 2
        overlay.both.host.ping(overlay.one.addresses("net")[0], timeout=20)
        wait_until(lambda: overlay.both.host.ping(other.addresses("second")[0], timeout=2, check=False), what="both reaches other")
        assert overlay.one.peer("other") is None and other.peer("one") is None
        assert overlay.both.plan() == []


def test_a_token_of_another_tenant_makes_a_second_identity():
    with Overlay("a", "b") as overlay:
        overlay.controller.ctl("tenant", "create", "globex")
        overlay.controller.ctl("network", "create", "net", "--tenant", "globex", "--ipv4", "10.101.0.0/24")
        overlay.a.up(overlay.controller.token(tenant="globex"))
        assert len(overlay.a.devices()) == 2
        assert [node["name"] for node in overlay.controller.nodes("globex")] == ["a"]
        overlay.a.ping(overlay.b)
        c = overlay.add("c", token=overlay.controller.token(tenant="globex"))
        wait_until(lambda: c.host.ping("10.101.0.1", timeout=2, check=False), what="c reaches a in globex")
        assert not c.host.ping("10.100.0.2", timeout=1, check=False)


def test_a_network_over_the_controllers_own_address_is_refused():
    """F80, F27."""
    with Overlay() as overlay:
        done = overlay.controller.ctl("network", "create", "evil", "--tenant", "acme", "--ipv4", "203.0.112.0/23", check=False)
        assert done.returncode in (1, 2, 5), done
        assert "203.0.11" in done.stderr


def test_a_node_whose_underlay_lies_inside_the_overlay_keeps_its_controller():
    """F80: our own packets carry the mark and stay off our routes."""
    with Overlay("b", overlay4="10.100.0.0/16") as overlay:
        site = overlay.net.switch("site", ipv4="10.100.77.0/24")
        a = overlay.net.host("a", site)
        router = overlay.net.router("router", site, overlay.lan)
        default_route(a, site, router)
        for host in (overlay.controller.host, overlay.b.host):
            host.route("10.100.77.0/24", overlay.lan.address_of(router))
        overlay.add("a", host=a)
        overlay.a.ping(overlay.b, timeout=30, family=4)
        overlay.add("c")
        wait_until(lambda: overlay.a.peer("c"), 10, "a still hears of new nodes")


def test_the_port_that_is_taken_is_stepped_over():
    """F64."""
    with Overlay("b") as overlay:
        a = overlay.net.host("a", overlay.lan)
        a.listen_udp(51820)
        agent = overlay.add("a", host=a)
        assert agent.own()["networks"][0]["listenPort"] == 51821
        agent.ping(overlay.b)
        agent.reboot()
        a.listen_udp(51821)
        agent.start()
        wait_until(lambda: agent.own()["networks"][0]["listenPort"] in (51820, 51822), what="another port")
        overlay.b.ping(agent, timeout=20)


def test_two_tenants_with_the_same_addresses_do_not_meet():
    with Overlay("a") as overlay:
        overlay.controller.ctl("tenant", "create", "globex")
        overlay.controller.ctl("network", "create", "net", "--tenant", "globex", "--ipv4", "10.100.0.0/24")
        z = overlay.add("z", token=overlay.controller.token(tenant="globex"))
        assert z.addresses()[0] == overlay.a.addresses()[0] == "10.100.0.1"
        assert z.status()["peers"] == [] and overlay.a.status()["peers"] == []

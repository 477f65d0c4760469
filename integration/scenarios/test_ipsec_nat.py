# SPDX-License-Identifier: Apache-2.0
"""Networks over IPsec where both ends are behind NATs: IKE and ESP go by the paths that WireGuard would."""
import re
import time

import pytest

from charon import Mesh
from nat import PORT_RESTRICTED, SYMMETRIC, Nat
from product import Relay
from topology import default_route, wait_until

NATS = {"s1": SYMMETRIC, "s2": SYMMETRIC, "r1": PORT_RESTRICTED, "r2": PORT_RESTRICTED}


def behind(mesh, name):
    number = list(NATS).index(name) + 1
    home = mesh.net.switch(f"home{number}", ipv4=f"192.168.{number}.0/24")
    host = mesh.net.host(name, home)
    mesh.nats[name] = Nat(mesh.net, f"nat-{name}", inside=home, outside=mesh.lan, kind=NATS[name])
    default_route(host, home, mesh.nats[name])
    return host


class Homes(Mesh):
    nats = {}

    def __init__(self):
        super().__init__(*NATS, host=behind, overlay6="none")
        self.relay = Relay(self.net.host("relay", self.lan), self.controller).start()
        for agent in self.agents.values():
            wait_until(lambda: any(one["home"] for one in agent.netcheck()["relays"]), 30, f"{agent.name} has a home relay")


@pytest.fixture(scope="module")
def homes():
    with Homes() as mesh:
        yield mesh


def path(mesh, a, b):
    peer = mesh.peer_of(a, b)
    return peer["path"], (peer.get("endpoint") or "").rsplit(":", 1)[0]


def meet(homes, a, b, kind):
    began = time.monotonic()
    homes.agents[a].ping(homes.agents[b], timeout=40)
    print(f"{a} to {b}: first answer after {time.monotonic() - began:.1f} s")
    at = homes.nats[b].public if kind == "DIRECT" else homes.relay.host.ipv4
    wait_until(lambda: path(homes, a, b) == (kind, at), 30, f"{a} reaches {b} at {at}")
    wait_until(lambda: path(homes, b, a)[0] == kind, 30, "and the other way round")
    wait_until(lambda: next(one["path"] for one in homes.controller.ctl_json("node", "peers", a, "--tenant", "acme")["peers"] if one["name"] == b) == kind,
               40, "and the controller knows")


def test_two_behind_nats_that_can_be_opened_meet_directly(homes):
    meet(homes, "r1", "r2", "DIRECT")


def test_two_behind_others_meet_by_the_kernel_of_a_relay(homes):
    meet(homes, "s1", "s2", "RELAY_UDP")
    meet(homes, "s1", "r1", "RELAY_UDP")


def test_what_leaves_is_esp_in_udp(homes):
    wire = homes.nats["s1"].popen("tcpdump", "-n", "-i", "lan", "-l", "udp or esp", name="wire")
    wait_until(lambda: "listening on" in wire.log(), 10, "tcpdump listens")
    homes.s1.ping(homes.s2, timeout=20)
    wait_until(lambda: "UDP-encap: ESP" in wire.log(), 10, "packets were seen")
    wire.stop()
    assert "10.100.0." not in wire.log()


def test_a_nat_that_forgets_costs_seconds(homes):
    """F70: its mappings are others at once, under traffic. Both ends find new places, and one sets up a tunnel there."""
    address = homes.r2.addresses()[0]
    homes.r1.ping(homes.r2, timeout=40)
    wait_until(lambda: path(homes, "r1", "r2")[0] == "DIRECT", 30, "directly")
    pinger = homes.r1.host.popen("ping", "-n", "-D", "-i", "0.2", address, name="pinger")
    wait_until(lambda: pinger.log().count("bytes from") > 10, 20, "traffic")
    homes.nats["r1"].rebind()
    forgot = time.time()
    wait_until(lambda: any(float(stamp) > forgot + 2 for stamp in re.findall(r"\[(\d+\.\d+)\] \d+ bytes from", pinger.log())), 30, "answers again")
    pinger.stop()
    stamps = [float(stamp) for stamp in re.findall(r"\[(\d+\.\d+)\] \d+ bytes from", pinger.log())]
    print(f"silent for {max(b - a for a, b in zip(stamps, stamps[1:])):.1f} s")
    wait_until(lambda: path(homes, "r1", "r2")[0] == "DIRECT", 40, "directly again")


def test_the_first_packet_after_a_silence_opens_the_way_again(homes):
    """No tunnel stands and the NATs have forgotten each other's peer: what charon calls, checks have opened before it calls again."""
    meet(homes, "r1", "r2", "DIRECT")
    homes.charons["r1"].swanctl("--terminate", "--ike", f"cvlan-{homes.node('r2')['id']}")
    wait_until(lambda: path(homes, "r1", "r2")[0] == "NONE" == path(homes, "r2", "r1")[0], 20, "no tunnel stands")
    for name in ("r1", "r2"):
        homes.nats[name].flush()
    began = time.monotonic()
    homes.r1.ping(homes.r2, timeout=20)
    print(f"first answer after a silence after {time.monotonic() - began:.1f} s")
    wait_until(lambda: path(homes, "r1", "r2")[0] != "NONE", 20, "a tunnel stands")

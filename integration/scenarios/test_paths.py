# SPDX-License-Identifier: Apache-2.0
"""Agents find the direct path between them: from behind NATs, by what a relay's STUN says, and after a change."""
import pytest

from nat import PORT_RESTRICTED, Nat
from product import UNSEEN, Overlay, Relay
from pulse import Pulse
from topology import default_route, wait_until

DIRECT_SECONDS, RESUME_SECONDS = 3, 3


def behind(overlay, name):
    """A node behind a port-restricted NAT of its own."""
    number = len(overlay.agents) + 1
    home = overlay.net.switch(f"home{number}", ipv4=f"192.168.{number}.0/24")
    host = overlay.net.host(name, home)
    nat = Nat(overlay.net, f"nat-{name}", inside=home, outside=overlay.lan, kind=PORT_RESTRICTED)
    default_route(host, home, nat)
    overlay.add(name, host=host)
    return nat


@pytest.fixture(scope="module")
def homes():
    """Two nodes behind NATs, which meet when the second one comes; when the pulse saw what."""
    with Overlay() as overlay, Pulse() as pulse:
        relay = Relay(overlay.net.host("relay", overlay.lan), overlay.controller).start()
        nats = {"a": behind(overlay, "a")}
        pulse.add("a>b", overlay.a.host, "10.100.0.2")
        nats["b"] = behind(overlay, "b")
        overlay.relay, overlay.nats, overlay.pulse = relay, nats, pulse
        yield overlay


def path_is(agent, peer, endpoint):
    seen = agent.peer(peer)
    return seen["path"] == "DIRECT" and seen["endpoint"].startswith(endpoint)


def test_two_behind_port_restricted_nats_meet_directly_within_3_s(homes):
    """Neither is let in before the other has sent: each tries what the STUN server says of the other, at once."""
    known = wait_until(lambda: homes.pulse.known("a>b"), 10, "a knows b")
    first = wait_until(lambda: homes.pulse.first("a>b", known), 10, "b answers")
    assert first - known < DIRECT_SECONDS + UNSEEN
    for one, other in (("a", "b"), ("b", "a")):
        wait_until(lambda: path_is(homes.agents[one], other, f"{homes.nats[other].public}:"), 5, f"{one} has a direct path to {other}")
    assert homes.a.peer("b")["rttMs"] >= 0
    assert homes.a.metric('cvlan_agent_peers{path="DIRECT"}') == 1
    assert homes.a.get("/ready")[0] == 200


def test_the_controller_is_told_of_the_path(homes):
    def told():
        peer, = homes.controller.ctl_json("node", "peers", "a", "--tenant", "acme")["peers"]
        return peer["path"] == "DIRECT" and peer["endpoint"] == homes.a.peer("b")["endpoint"]
    wait_until(told, 20, "node peers has the path")


def test_a_nat_that_forgets_its_mappings_costs_3_s_at_most(homes):
    """The middle one of three: the machine may have stood still in another."""
    silences = []
    for _ in range(3):
        changed = homes.pulse.now()
        homes.nats["b"].rebind()
        wait_until(lambda: homes.pulse.first("a>b", changed + RESUME_SECONDS + UNSEEN), 10, "b answers again")
        silences.append(homes.pulse.silence("a>b", changed))
        wait_until(lambda: path_is(homes.a, "b", f"{homes.nats['b'].public}:"), 10, "a has a direct path again")
    assert sorted(silences)[1] < RESUME_SECONDS + UNSEEN, silences


def test_one_that_gets_another_address_is_found_again_within_3_s(homes):
    changed = homes.pulse.now()
    segment = homes.nats["a"].inside_segments[0]
    homes.a.host.renumber(segment, f"{segment.prefixes[0][77]}/24")
    wait_until(lambda: homes.pulse.first("a>b", changed + RESUME_SECONDS + UNSEEN), 10, "b answers again")
    assert homes.pulse.silence("a>b", changed) < RESUME_SECONDS + UNSEEN


def test_what_was_carried_is_the_tenants_usage(homes):
    """It comes with each report of paths, and both have others by now; no more of it than the kernels have counted."""
    def told():
        usage = homes.controller.ctl_json("tenant", "usage", "acme")
        received, sent = (int(usage[key]) for key in ("receivedBytes", "sentBytes"))
        lines = [line.split() for agent in homes.agents.values() for line in agent.host.run("wg", "show", "all", "transfer").stdout.splitlines()]
        most = [sum(int(line[field]) for line in lines) for field in (2, 3)]
        assert received <= most[0] and sent <= most[1], (usage, most)
        return received > 1000 and sent > 1000
    wait_until(told, 20, "the tenant has a usage")

# SPDX-License-Identifier: Apache-2.0
"""F75: IPv6 alone here, IPv4 alone everywhere else, and a NAT64 with a DNS64 in between. The map says nothing but IPv4: the
agent finds the prefix by the name that a DNS64 answers, and the rest is as behind any NAT. What is promised is asserted as in
test_reach.py; that the controller is there within 5 s, on an emulated machine as in test_reach_faults.py."""
import pytest

from product import UNSEEN
from test_reach import DIRECT, RELAY_UDP, Meeting, meet, table
from topology import PATIENCE, wait_until
from world import World

PREFIX = "2001:db8:64::/96"
CONNECTED_SECONDS = 5


@pytest.fixture(scope="module")
def world():
    with World(relays=1, nat64=PREFIX) as made:
        yield made


def test_ipv6_alone_meets_ipv4_alone_through_a_nat64(world, pulse, show):
    world.join("plain", "narrow")
    meetings = meet(world, pulse, "six64", [Meeting("six64", "plain", DIRECT), Meeting("six64", "narrow", RELAY_UDP)])
    show(*table(meetings))
    assert [fault for meeting in meetings for fault in meeting.faults()] == []
    six = world.agents["six64"]
    seen = six.netcheck()
    assert seen["nat64"] == PREFIX and seen["ipv4"] and not seen["ipv6"]
    assert seen["ipv4Endpoint"].startswith(world.nats["six64"].public + ":"), "the relay sees its NAT64"

    def are_within_the_prefix():
        places = [endpoint for endpoint, *_ in six.wireguard().values()]
        assert [place for place in places if not place.startswith("[2001:db8:64:")] == []
        return True
    wait_until(are_within_the_prefix, 10, "the kernel has IPv6, also where the relay's TLS carried for a moment")
    plain = next(peer for peer in six.look()["peers"] if peer["name"] == "plain")
    assert plain["endpoint"].startswith(f"{world.agents['plain'].host.ipv4}:"), "as the map has it"


def test_it_starts_there_within_5_s(world, pulse, show):
    six = world.agents["six64"]
    six.kill()
    began = pulse.now()
    six.launch()

    def is_there():
        told = six.look()
        return told["self"]["state"] == "CONNECTED" and all(peer["path"] != "NONE" for peer in told["peers"])
    wait_until(is_there, 10, "controller and peers")
    took = pulse.now() - began
    show(f"connected after {took:.2f} s")
    assert took <= CONNECTED_SECONDS * PATIENCE + UNSEEN

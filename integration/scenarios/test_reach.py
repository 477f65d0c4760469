# SPDX-License-Identifier: Apache-2.0
"""Every node finds every other: directly where physics allows, by a relay where not, and at once in any case.

What is measured begins when both kernels have each other as a peer: until the first answer to an echo request, and until
the node calls the path what theory calls it. What is promised of it, a second and three, is asserted on a real machine; on an
emulated one, where the nodes share two slow processors, it is shown, and all has to be as it should within 40 seconds.
"""
import itertools
import json
import os

import pytest

from nat import KINDS, PORT_RESTRICTED, SYMMETRIC
from product import UNSEEN
from pulse import Pulse
from topology import EMULATED, wait_until
from world import World

FIRST_SECONDS, DIRECT_SECONDS = 1, 3
DIRECT, RELAY_UDP, RELAY_TLS = "DIRECT", "RELAY_UDP", "RELAY_TLS"


def theory(one, other):
    """RFC 5128, 3.3: a mapping that differs for each peer is known to none, so the other side must let in whoever comes."""
    strict = {one, other} <= {PORT_RESTRICTED, SYMMETRIC} and SYMMETRIC in (one, other)
    return RELAY_UDP if strict else DIRECT


class Meeting:
    """Two nodes that come to know each other: `first` and `path_at` are seconds after both knew."""

    def __init__(self, a, b, expected):
        self.a, self.b, self.expected, self.path, self.path_at = a, b, expected, {}, {}

    def watch(self, world, pulse):
        self.pulse = pulse
        for one, other in ((self.a, self.b), (self.b, self.a)):
            pulse.add(f"{one}>{other}", world.agents[one].host, world.addresses.get(other) or world.next_address(other))

    @property
    def known(self):
        both = [self.pulse.known(f"{self.a}>{self.b}"), self.pulse.known(f"{self.b}>{self.a}")]
        return max(both) if all(both) else None

    @property
    def first(self):
        at = self.known and self.pulse.first(f"{self.a}>{self.b}", self.known)
        return at and at - self.known

    def look(self, statuses):
        """Notes the paths, as both ends tell them; whether all is as expected."""
        for one, other in ((self.a, self.b), (self.b, self.a)):
            peer = next((peer for peer in statuses[one]["peers"] if peer["name"] == other), None)
            self.path[one] = peer and peer["path"]
            if self.path[one] == self.expected and self.known:
                self.path_at.setdefault(one, self.pulse.now() - self.known)
        return self.first is not None and len(self.path_at) == 2

    def line(self):
        def seconds(value):
            return "never" if value is None else f"{value:.2f} s"
        settled = max(self.path_at.values()) if len(self.path_at) == 2 else None
        return (f"{self.a:18} {self.b:18} {self.path[self.a] or '-':10} {self.path[self.b] or '-':10} "
                f"{seconds(self.first):>8} {seconds(settled):>8}")

    def faults(self):
        told = []
        if self.first is None or (self.first > FIRST_SECONDS + UNSEEN and not EMULATED):
            told.append(f"first packet: {self.first}")
        if len(self.path_at) < 2:
            told.append(f"{self.path}, not {self.expected}")
        elif self.expected == DIRECT and max(self.path_at.values()) > DIRECT_SECONDS + UNSEEN and not EMULATED:
            told.append(f"direct after {self.path_at}")
        return [f"{self.a} and {self.b}: {fault}" for fault in told]


def table(meetings):
    """Shown, and kept for scripts/bench relay."""
    with open(os.path.join(os.environ["CVLAN_LAB_OUT"], "meetings.jsonl"), "a", encoding="utf-8") as file:
        for one in meetings:
            json.dump({"a": one.a, "b": one.b, "expected": one.expected, "path": one.path, "first": one.first, "settled": max(one.path_at.values(), default=None)}, file)
            file.write("\n")
    return [HEAD, *(meeting.line() for meeting in meetings)]


HEAD = f"{'a':18} {'b':18} {'path of a':10} {'path of b':10} {'first':>8} {'settled':>8}"


def meet(world, pulse, newcomer, meetings):
    """The newcomer joins; all its meetings at once. Who is late is waited for all the same, so that the table is whole."""
    world.launch(newcomer)
    for meeting in meetings:
        meeting.watch(world, pulse)
    pulse.only(*(f"{a}>{b}" for meeting in meetings for a, b in ((meeting.a, meeting.b), (meeting.b, meeting.a))))
    expected = world.next_address(newcomer)
    world.join(newcomer)
    assert world.addresses[newcomer] == expected
    names = {name for meeting in meetings for name in (meeting.a, meeting.b)}

    def all_as_expected():
        statuses = world.look(*names)
        return all([meeting.look(statuses) for meeting in meetings])

    try:
        wait_until(all_as_expected, 10, "paths are as theory has them")
    except AssertionError:
        pass  # told by faults(), of each meeting
    return meetings


@pytest.fixture(scope="module")
def world():
    with World() as made:
        yield made


def test_each_nat_meets_each_other_nat(show):
    """The 16 cells, four nodes at a time: more would show what they take of an emulated machine's two processors."""
    halves = (KINDS[:2], KINDS[2:])
    meetings = []
    for ours, theirs in itertools.product(halves, halves):
        with World() as world, Pulse() as pulse:
            world.join(*(f"a-{kind}" for kind in ours))
            for kind in theirs:
                meetings += meet(world, pulse, f"b-{kind}", [Meeting(f"a-{other}", f"b-{kind}", theory(other, kind)) for other in ours])
    show(*table(meetings))
    assert len(meetings) == 16 and sum(meeting.expected != DIRECT for meeting in meetings) == 3
    assert [fault for meeting in meetings for fault in meeting.faults()] == []


ODD = [  # the newcomer, and whom it meets by which path
    ("double", {"plain": DIRECT, "homely": DIRECT}),
    ("hairpin1", {"plain": DIRECT, "homely": DIRECT}),
    ("hairpin2", {"hairpin1": DIRECT, "homely": DIRECT}),
    ("six", {"plain": DIRECT, "homely": RELAY_TLS}),
    ("mute", {"plain": RELAY_TLS, "homely": RELAY_TLS, "six": RELAY_TLS}),
    ("office", {"plain": RELAY_TLS, "homely": RELAY_TLS, "mute": RELAY_TLS}),
    ("narrow", {"plain": DIRECT, "homely": RELAY_UDP}),
]


def test_odd_places_meet_too(world, pulse, show):
    """Double NAT, hairpin, IPv6 alone, no UDP, 443 through a proxy alone, 1280 bytes."""
    world.join("plain", "homely")
    meetings = []
    for newcomer, others in ODD:
        meetings += meet(world, pulse, newcomer, [Meeting(newcomer, other, path) for other, path in others.items()])
    show(*table(meetings))
    assert [fault for meeting in meetings for fault in meeting.faults()] == []
    hairpin = next(peer for peer in world.agents["hairpin1"].look()["peers"] if peer["name"] == "hairpin2")
    assert hairpin["endpoint"].startswith(world.nats["hairpin"].public + ":"), "by another way than the hairpin"
    assert set(world.proxy.tunnels()) >= {f"{relay.host.ipv4}:443" for relay in world.relays}, "the relays by another way than the proxy"

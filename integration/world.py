# SPDX-License-Identifier: Apache-2.0
"""An Internet in small: a controller and two relays on it, and nodes behind whatever can stand before one. A node is
made when it is first asked for, by its name:

    a-none a-cone a-port-restricted a-symmetric   in the network `net`: each a with each b is a cell of NAT times NAT
    b-none b-cone b-port-restricted b-symmetric
    plain                public, of both families                  these and those below in the network `odd`
    homely               behind a port-restricted NAT
    double               behind a home's NAT behind a carrier's, both port-restricted
    hairpin1, hairpin2   behind one NAT with a hairpin, on segments that are apart
    six                  IPv6 alone
    mute                 where UDP is dropped
    office               where an HTTP CONNECT proxy is the only way out
    narrow               on a link of 1280 bytes, behind a symmetric NAT
    six64                IPv6 alone, behind a NAT64: in a world that has one, where the Internet is IPv4 alone
"""
import ipaddress
import os

from nat import CONE, KINDS, NONE, PORT_RESTRICTED, SYMMETRIC, Nat, Nat64
from product import Agent, Controller, Relay
from proxy import Proxy
from topology import PATIENCE, Cover, Topology, default_route, wait_until

CONTROLLER = "controller.example.net"
OVERLAYS = {"net": "10.100.0.0/24", "odd": "10.101.0.0/24"}


def is_cell(name):
    return name[1:2] == "-" and name[2:] in KINDS


def network_of(name):
    return "net" if is_cell(name) else "odd"


class World:
    def __init__(self, relays=2, nat64=None):
        self.net, self.nat64 = Topology(), nat64 and ipaddress.ip_network(nat64)
        self.agents, self.addresses, self.nats, self.relays, self.segments = {}, {}, {}, [], 0
        self.names, self.leases = None, 0
        try:
            self._build(relays)
        except BaseException:
            self.net.print_logs()
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.net.print_logs()
            self.net.keep_logs()
        self.close()

    def close(self):
        self.net.close()
        if self.names:
            self.names.close()

    def _build(self, relays):
        self.internet = self.net.switch("internet", ipv4="203.0.113.0/24", ipv6=None if self.nat64 else "2001:db8:1::/64")
        server = self.net.host("controller", self.internet)
        names = [("127.0.0.1", "localhost"), (server.ipv4, CONTROLLER)]
        if self.nat64:  # what a DNS64 says
            names += [(self.synthesised(server.ipv4), CONTROLLER)]
            names += [(self.synthesised(one), "ipv4only.arpa") for one in ("192.0.0.170", "192.0.0.171")]
        else:
            names += [(server.ipv6, CONTROLLER)]
        self.names = Cover("/etc/hosts", "".join(f"{one} {name}\n" for one, name in names))
        self.controller = Controller(server, CONTROLLER, listen="::", port=443).start()
        self.controller.ctl("tenant", "create", "acme")
        for network, prefix in OVERLAYS.items():
            self.controller.ctl("network", "create", network, "--tenant", "acme", "--ipv4", prefix, "--ipv6", "none")
        self.tokens = {network: self.controller.token(network=network, uses=100) for network in OVERLAYS}
        for number in range(1, relays + 1):
            host = self.net.host(f"relay{number}", self.internet)
            self.relays.append(Relay(host, self.controller).start())

    # What stands before a node.

    def synthesised(self, ipv4):
        return self.nat64[int(ipaddress.ip_address(ipv4))]

    def segment(self, **more):
        self.segments += 1
        return self.net.switch(f"lan{self.segments}", ipv4=f"192.168.{self.segments}.0/24", **more)

    def behind(self, name, kind, outside=None, **more):
        """A host behind a NAT of that kind, which is `nats[name]`."""
        home = self.segment(**more)
        host = self.net.host(name, home)
        self.nats[name] = Nat(self.net, f"nat-{name}"[:15], inside=home, outside=outside or self.internet, kind=kind)
        default_route(host, home, self.nats[name])
        return host

    def _host(self, name):
        if is_cell(name):
            return self.net.host(name, self.internet) if name[2:] == NONE else self.behind(name, name[2:])
        return getattr(self, f"_{name}")()

    def _plain(self):
        return self.net.host("plain", self.internet)

    def _homely(self):
        return self.behind("homely", PORT_RESTRICTED)

    def _double(self):
        carrier = self.net.switch("carrier", ipv4="100.64.0.0/24")
        self.nats["carrier"] = Nat(self.net, "nat-carrier", inside=carrier, outside=self.internet, kind=PORT_RESTRICTED)
        host = self.behind("double", PORT_RESTRICTED, outside=carrier)
        default_route(self.nats["double"], carrier, self.nats["carrier"])
        return host

    def _hairpin1(self):
        homes = [self.segment() for _ in range(2)]
        self.nats["hairpin"] = Nat(self.net, "nat-hairpin", inside=homes, outside=self.internet, kind=CONE, hairpin=True)
        hosts = [self.net.host(name, home) for name, home in zip(("hairpin1", "hairpin2"), homes)]
        for host, home in zip(hosts, homes):
            default_route(host, home, self.nats["hairpin"])
        self._second = hosts[1]
        return hosts[0]

    def _hairpin2(self):
        return self._second

    def _six(self):
        host = self.net.host("six")
        self.internet.attach(host, families=[6])
        return host

    def _mute(self):
        host = self.behind("mute", PORT_RESTRICTED)
        self.nats["mute"].block("meta l4proto udp")
        return host

    def _office(self):
        office = self.segment()
        host = self.net.host("office", office)
        self.proxy = Proxy(self.net, "proxy", inside=office, outside=self.internet)
        default_route(host, office, self.proxy.host)
        return host

    def _narrow(self):
        return self.behind("narrow", SYMMETRIC, mtu=1280)

    def _six64(self):
        home = self.net.switch("home64", ipv6="2001:db8:6::/64")
        host = self.net.host("six64", home)
        self.nats["six64"] = Nat64(self.net, "nat-six64", home, self.internet, self.nat64)
        default_route(host, home, self.nats["six64"], family=6)
        return host

    # The nodes.

    def launch(self, name):
        """Its place and its agent, which is not enrolled yet."""
        host = self._host(name)
        # Until it has a device and a peer, an echo request has nowhere to go, and pulse.py is told so.
        host.ip("route", "add", "unreachable", "10.100.0.0/15", "metric", "4000")
        self.agents[name] = Agent(host, extra=f'proxy = "{self.proxy.url}"\n' if name == "office" else "")
        self.agents[name].launch()
        return host

    def join(self, *names):
        """They enrol, all at once; launched before or now."""
        calls = {}
        for name in names:
            if name not in self.agents:
                self.launch(name)
        for name in names:
            agent = self.agents[name]
            wait_until(agent.answers, 20, f"the agent of {name} answers")
            calls[name] = agent.host.popen(*agent.ctl_words("up", "--wait", "60s", "--name", name), name="up", env={
                **os.environ, "CVLAN_TOKEN": self.tokens[network_of(name)]})
        for name, call in calls.items():
            assert call.popen.wait(90 * PATIENCE) == 0, f"{name}: {call.log()}"
            self.addresses[name] = self.agents[name].look()["self"]["addresses"][0]

    def next_address(self, name):
        """What that node gets if it joins next: addresses are given in turn."""
        joined = sum(network_of(other) == network_of(name) for other in self.addresses)
        return str(ipaddress.ip_network(OVERLAYS[network_of(name)])[1 + joined])

    def renumber(self, name):
        """Another address for a node on its segment, as from another lease."""
        segment = self.nats[name].inside_segments[0]
        self.leases += 1
        self.agents[name].host.renumber(segment, f"{segment.prefixes[0][100 + self.leases]}/24")

    def move(self, name):
        """A node goes to another segment, behind another NAT of the kind, as from a house's Wi-Fi to a telephone's network."""
        host, before = self.agents[name].host, self.nats[name]
        there = self.segment()
        self.nats[name] = Nat(self.net, f"nat-{there.name}", inside=there, outside=self.internet, kind=before.kind)
        host.unplug()
        host.routes.clear()
        there.attach(host)
        default_route(host, there, self.nats[name])

    def look(self, *names):
        """The status of each."""
        return {name: self.agents[name].look() for name in names}

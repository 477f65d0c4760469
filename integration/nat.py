# SPDX-License-Identifier: Apache-2.0
"""NAT routers, by nftables in a namespace each. test_nat.py proves that each behaves as its kind says.

    home = net.switch("home", ipv4="192.168.7.0/24")
    nat = Nat(net, "nat", inside=home, outside=internet, kind=SYMMETRIC)
    default_route(host, home, nat)

In the words of RFC 4787:     mapping                       filtering
    CONE                      endpoint-independent          endpoint-independent
    PORT_RESTRICTED           endpoint-independent          address and port-dependent
    SYMMETRIC                 address and port-dependent    address and port-dependent
NONE is a public address; it has no router. All this is UDP over IPv4; TCP and ICMP are masqueraded by each kind.
"""
import os
import socket
import struct
import tempfile

from topology import Router

NONE, CONE, PORT_RESTRICTED, SYMMETRIC = "none", "cone", "port-restricted", "symmetric"
KINDS = (NONE, CONE, PORT_RESTRICTED, SYMMETRIC)

# linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h
NETLINK_NETFILTER, NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_DELETE = 12, 1, 2
NLM_F_REQUEST, NLM_F_ACK = 1, 4


class Nat(Router):
    """Hides the segment `inside`, or several, behind its address on `outside`.

    `hairpin`: a host inside reaches another by that one's mapped address. What nobody inside asked for is dropped without a word, as home routers do: were it
    answered, conntrack would hold the tuple for the stranger and the host's own try would get another port.
    """

    def __init__(self, topology, name, inside, outside, kind=PORT_RESTRICTED, hairpin=False):
        super().__init__(topology, name)
        topology.own(self)
        assert kind in KINDS[1:] and not (hairpin and kind == SYMMETRIC), (kind, hairpin)
        self.kind, self.hairpin, self.outside, self.seconds, self.rebinds = kind, hairpin, outside, 30, 0
        self.inside_segments = inside if isinstance(inside, (list, tuple)) else [inside]
        for segment in self.inside_segments:
            segment.attach(self)
        outside.attach(self)
        self._load()

    @property
    def public(self):
        return self.outside.address_of(self)

    def rebind(self):
        """Forgets all mappings, as a router that was switched off and on; the next ones get other ports."""
        self.rebinds += 1
        self._load()
        self.flush()

    def keep_mappings(self, seconds):
        """For so long without a packet from inside. Those that stand are forgotten."""
        self.seconds = seconds
        self._load()
        self.flush()

    def renumber(self, segment, *addresses):
        super().renumber(segment, *addresses)
        self._load()
        self.flush()

    def reboot(self):
        super().reboot()
        self._load()

    def flush(self):
        """Empties conntrack, here alone."""
        with self.inside():
            ctnetlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
        with ctnetlink:
            ctnetlink.send(struct.pack("=IHHIIBBH", 20, NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_DELETE,
                                       NLM_F_REQUEST | NLM_F_ACK, 1, 0, socket.AF_UNSPEC, 0, 0))
            error = struct.unpack("=i", ctnetlink.recv(4096)[16:20])[0]
        # None there is ENOENT on some kernels.
        assert error in (0, -2), f"{self}: conntrack is not flushed: {error}"

    def _mapped_port(self):
        """The public port of what comes from inside, as an expression. A hash of the inner address and port needs
        no state to be the same for every destination, and two hosts with the same port get different ones (one in
        200 pairs does not: a fact of the addresses, not of chance). nft turns no hash into network order here,
        and is of one mind about it in the three places where this stands; 0x7520 to 0x75e7 are above 8191 either
        way, and another base is another set of ports."""
        return f"jhash ip saddr . udp sport mod 200 seed {self.rebinds + 1} offset {0x7520 - 0x100 * (self.rebinds % 32)}"

    def _source(self):
        if self.kind == SYMMETRIC:
            return "masquerade random,fully-random"
        return f"meta l4proto udp snat to {self.public} : {self._mapped_port()}"

    def _load(self):
        """The whole table in one batch; what conntrack knows flows on."""
        outer, public = self.outside.name, self.public
        from_inside = f'iifname != "{outer}"'
        mapped = self.kind != SYMMETRIC
        let_in = [f'iifname "{outer}"'] * (self.kind == CONE) + [from_inside] * self.hairpin
        chains = {
            "track { type filter hook forward priority mangle;":
                [f"{from_inside} meta l4proto udp update @mapped {{ {self._mapped_port()} : ip saddr . udp sport }}"] * mapped,
            "forward { type filter hook forward priority filter; policy drop;":
                ["ct state established,related accept", f'{from_inside} oifname "{outer}" accept', "ct status dnat accept"],
            "input { type filter hook input priority filter;":
                [f"ip daddr {public} meta l4proto {{ tcp, udp }} ct state new drop"],
            "pre { type nat hook prerouting priority dstnat;":
                [f"{where} ip daddr {public} meta l4proto udp dnat to udp dport map @mapped" for where in let_in],
            "post { type nat hook postrouting priority srcnat;":
                [f'oifname "{outer}" {self._source()}', f'oifname "{outer}" masquerade'] +
                [f'{from_inside} oifname != "{outer}" ct status dnat {self._source()}'] * self.hairpin,
        }
        text = "\n".join("\n".join([f"chain {chain}", *rules, "}"]) for chain, rules in chains.items())
        self.run("nft", "-f", "-", input=f"""
            table ip nat
            delete table ip nat
            table ip nat {{
                map mapped {{ typeof udp dport : ip saddr . udp sport; size 4096; flags dynamic,timeout; timeout {self.seconds}s; }}
                {text}
            }}""")
        self.sysctl(**{f"net.netfilter.nf_conntrack_udp_{what}": self.seconds for what in ("timeout", "timeout_stream")})


class Nat64(Nat):
    """tayga (RFC 6145) before a port-restricted NAT, which together are a NAT64 (RFC 6146): what is sent from inside to the 96 bits of
    `prefix` leaves as IPv4. IPv6 leads nowhere else."""

    POOL = "192.168.255.0/24"

    def __init__(self, topology, name, inside, outside, prefix):
        super().__init__(topology, name, inside, outside)
        folder = tempfile.mkdtemp(prefix="tayga-")
        config = os.path.join(folder, "tayga.conf")
        with open(config, "w", encoding="ascii") as file:
            file.write(f"tun-device nat64\nipv4-addr 192.168.255.1\nprefix {prefix}\ndynamic-pool {self.POOL}\ndata-dir {folder}\n")
        self.run("modprobe", "tun")
        self.run("/usr/sbin/tayga", "--mktun", "--config", config)
        for words in ("link set nat64 up", f"route add {self.POOL} dev nat64", f"-6 route add {prefix} dev nat64"):
            self.ip(*words.split())
        self.popen("/usr/sbin/tayga", "--nodetach", "--config", config)

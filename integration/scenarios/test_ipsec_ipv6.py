# SPDX-License-Identifier: Apache-2.0
"""IPsec where there is no IPv4 outside."""
from charon import Mesh


def test_over_ipv6_alone():
    with Mesh("a", "b", ipv4=None) as pair:
        pair.a.ping(pair.b)
        assert pair.tunnels("a")["b"]["remoteEndpoint"].startswith("[2001:db8:1:")
        pair.a.host.run("ping", "-n", "-q", "-c", 3, "-M", "do", "-s", 1414 - 28, pair.b.addresses()[0])

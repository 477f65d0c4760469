# SPDX-License-Identifier: Apache-2.0
"""A path check as a node sends it, spoken by this process from a node's host: what reach/path_check.h says, written a second time."""
import base64
import hmac

from relay_client import BINDING, BINDING_SUCCESS, USERNAME, Stun, is_signed, read_stun, udp_socket

P = 2 ** 255 - 19


def x25519(scalar, point):
    """RFC 7748, section 5."""
    k = int.from_bytes(bytes([scalar[0] & 248]) + scalar[1:31] + bytes([scalar[31] & 127 | 64]), "little")
    x = int.from_bytes(point, "little") & (1 << 255) - 1
    x2, z2, x3, z3, swap = 1, 0, x, 1, 0
    for bit in reversed(range(255)):
        now = k >> bit & 1
        if swap ^ now:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = now
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        x3, z3 = (da + cb) ** 2 % P, x * (da - cb) ** 2 % P
        e = aa - bb
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def own_key(agent):
    return base64.b64decode(agent.host.run("wg", "show", agent.device, "private-key").stdout)


def is_answered(agent, other, host=None):
    """Whether `other` answers a check that has the key of `agent`'s node, sent from `host`."""
    mine, theirs = own_key(agent), base64.b64decode(other.public_key())
    public = base64.b64decode(agent.public_key())
    host = host or agent.host
    key = hmac.digest(x25519(mine, theirs), b"cvlan path check v1" + min(public, theirs) + max(public, theirs), "sha256")
    to = (other.host.ipv4, other.own()["networks"][0]["listenPort"])
    with udp_socket(host, host.ipv4) as sock:
        request = Stun(BINDING).add(USERNAME, base64.b64encode(public)).integrity(key).fingerprint().bytes()
        for _ in range(3):
            sock.sendto(request, to)
        try:
            answer, source = sock.recvfrom(2048)
        except TimeoutError:
            return False
    assert source == to and read_stun(answer)[0] == BINDING_SUCCESS and is_signed(answer, key)
    return True

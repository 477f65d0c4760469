# SPDX-License-Identifier: Apache-2.0
"""cryptoProfile FIPS_ALGORITHMS: what is negotiated, by charon's own word, and what is refused."""
import os

import pytest

from charon import Mesh
from topology import wait_until

BY_HAND = """connections {{ byhand {{
    remote_addrs = {address}
    proposals = {ike}
    local {{ id = fqdn:{own} }}
    remote {{ id = fqdn:{peer} }}
    children {{ byhand {{ esp_proposals = aes256gcm16-ecp384, aes256gcm16-x25519 }} }}
}} }}
"""


@pytest.fixture(scope="module")
def pair():
    with Mesh("a", "b") as overlay:
        yield overlay


def offer(pair, ike):
    """What comes of it when b calls a with these algorithms of IKE alone, by its own key and certificate."""
    charon, one = pair.charons["b"], pair.tunnels("b")["a"]
    file = os.path.join(charon.folder, "byhand.conf")
    with open(file, "w", encoding="utf-8") as out:
        out.write(BY_HAND.format(address=pair.a.host.ipv4, ike=ike, own=one["localIdentity"], peer=one["remoteIdentity"]))
    charon.swanctl("--load-conns", "--file", file)
    said = pair.b.host.run("swanctl", "--initiate", "--ike", "byhand", "--timeout", "10", "--uri", f"unix://{charon.socket}", check=False)
    pair.b.host.run("swanctl", "--terminate", "--ike", "byhand", "--timeout", "10", "--uri", f"unix://{charon.socket}", check=False)
    return said.stdout + said.stderr


def test_an_sa_is_of_approved_algorithms_alone(pair):
    pair.a.ping(pair.b)
    assert "established" in offer(pair, "aes256gcm16-prfsha384-x25519"), "which the default takes"
    refused = pair.controller.ctl("network", "create", "wg", "--tenant", "acme", "--ipv4", "10.101.0.0/24", "--crypto-profile", "fips_algorithms", check=False)
    assert refused.returncode != 0 and "cryptoProfile" in refused.stderr and "ChaCha20-Poly1305" in refused.stderr
    pair.change("--crypto-profile", "FIPS_ALGORITHMS")
    wait_until(lambda: pair.tunnels("a")["b"]["cryptoProfile"] == pair.tunnels("b")["a"]["cryptoProfile"] == "FIPS_ALGORITHMS", 20, "both know")

    def has_ended():
        """Another may be on its way, by a better path."""
        pair.a.ctl("ipsec", "terminate", "b", check=False)
        return pair.tunnels("a")["b"]["state"] == "IDLE"
    wait_until(has_ended, 20, "none stands of before")
    pair.a.ping(pair.b)
    said = pair.charons["a"].swanctl("--list-sas", "--raw")
    for part in ("encr-alg=AES_GCM_16", "encr-keysize=256", "prf-alg=PRF_HMAC_SHA2_384", "dh-group=ECP_384"):
        assert part in said, said
    assert "CURVE_25519" not in said and "CHACHA20" not in said
    assert pair.tunnels("a")["b"]["ikeCipher"] == "AES_GCM_16-256, PRF_HMAC_SHA2_384, ECP_384"


def test_what_is_not_approved_is_refused(pair):
    pair.a.ping(pair.b)
    for ike in ("aes256gcm16-prfsha384-x25519", "aes128gcm16-prfsha256-ecp256", "aes256-sha384-ecp384"):
        said = offer(pair, ike)
        assert "NO_PROPOSAL_CHOSEN" in said and "established" not in said, (ike, said)
    assert "established" in offer(pair, "aes256gcm16-prfsha384-ecp256"), "the other curve that is"

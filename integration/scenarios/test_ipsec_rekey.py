# SPDX-License-Identifier: Apache-2.0
"""SAs that are replaced each ten seconds, under traffic."""
from charon import Mesh
from product import FloodPing
from topology import wait_until


def test_rekeying_loses_nothing():
    with Mesh("a", "b", extra="ipsec_rekey_seconds = 10\n") as pair:
        pair.a.ping(pair.b)
        flood, seen = FloodPing(pair.a.host, pair.b.addresses()[0]), set()

        def rekeyed():
            seen.update(pair.charons["a"].child_spis())
            return len(seen) >= 2 * 4
        wait_until(rekeyed, 60, "the SA was replaced three times")
        sent, lost = flood.stop()
        print(f"rekeyed {len(seen) // 2 - 1} times: {lost} of {sent} lost")
        assert lost <= sent * 0.001

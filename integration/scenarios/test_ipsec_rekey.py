# SPDX-License-Identifier: Apache-2.0
"""SAs that are replaced each ten seconds, under traffic."""
import time

from charon import Mesh
from product import FloodPing


def test_rekeying_loses_nothing():
    with Mesh("a", "b", extra="ipsec_rekey_seconds = 10\n") as pair:
        pair.a.ping(pair.b)
        flood, seen = FloodPing(pair.a.host, pair.b.addresses()[0]), set()
        end = time.monotonic() + 35
        while time.monotonic() < end:
            seen |= pair.charons["a"].child_spis()
            time.sleep(1)
        sent, lost = flood.stop()
        print(f"rekeyed {len(seen) // 2 - 1} times: {lost} of {sent} lost")
        assert len(seen) >= 6 and lost <= sent * 0.001

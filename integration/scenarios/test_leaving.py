# SPDX-License-Identifier: Apache-2.0
"""Nodes that leave: deleted, revoked, expired, logged out. The peers' kernels know within 5 s."""
from product import REPAIR_SECONDS, UNSEEN, Overlay
from topology import wait_until


def gone_from(agents, key):
    wait_until(lambda: all(key not in agent.wireguard() for agent in agents), REPAIR_SECONDS + UNSEEN,
               "the peer is gone from every kernel", hard=True)


def test_a_deleted_node_is_gone_from_every_peers_kernel_within_5_s():
    with Overlay("a", "b", "c") as overlay:
        overlay.b.ping(overlay.c)
        key, before = overlay.c.public_key(), overlay.a.wireguard()
        overlay.controller.ctl("node", "delete", "c", "--tenant", "acme", "--yes")
        gone_from([overlay.a, overlay.b], key)
        assert not overlay.c.host.ping("10.100.0.2", timeout=1, check=False)
        assert before.keys() - overlay.a.wireguard().keys() == {key}
        overlay.a.ping(overlay.b)
        done = overlay.controller.ctl("node", "show", "c", "--tenant", "acme", check=False)
        assert done.returncode == 3, done.stderr
        d = overlay.add("d")
        assert d.addresses()[0] == "10.100.0.4", "the address of a deleted node is quarantined"


def test_a_revoked_node_is_cut_and_barred_for_good():
    with Overlay("a", "b") as overlay:
        overlay.a.ping(overlay.b)
        key = overlay.b.public_key()
        overlay.controller.ctl("node", "revoke", "b", "--tenant", "acme", "--yes")
        gone_from([overlay.a], key)
        wait_until(lambda: overlay.b.state() == "REVOKED", 10, "b knows")
        assert overlay.b.ctl("status", check=False).returncode == 1
        done = overlay.b.up(overlay.controller.token(), check=False)
        assert done.returncode == 4 and "revoked" in done.stderr, done
        assert not overlay.b.host.ping("10.100.0.1", timeout=1, check=False)


def test_an_expired_node_enrols_again_with_its_id_and_address():
    with Overlay("a", "b") as overlay:
        overlay.a.ping(overlay.b)
        before, key = overlay.b.own(), overlay.b.public_key()
        overlay.controller.ctl("node", "expire", "b", "--tenant", "acme", "--yes")
        gone_from([overlay.a], key)
        wait_until(lambda: overlay.b.state() == "EXPIRED", 10, "b knows")
        overlay.b.up(overlay.controller.token())
        after = overlay.b.own()
        assert (after["id"], after["addresses"], after["state"]) == (before["id"], before["addresses"], "CONNECTED")
        overlay.a.ping(overlay.b, timeout=20)


def test_a_logged_out_node_leaves_nothing_behind():
    with Overlay("a", "b") as overlay:
        key = overlay.b.public_key()
        overlay.b.ctl("logout", "--yes")
        gone_from([overlay.a], key)
        assert [node["name"] for node in overlay.controller.nodes()] == ["a"]
        assert overlay.b.devices() == [] and overlay.b.state() == "NEEDS_ENROLMENT"
        assert "proto 202" not in overlay.b.host.ip("-d", "rule") + overlay.b.host.ip("-d", "-6", "rule")


def test_a_logout_without_a_controller_says_so():
    with Overlay("a") as overlay:
        overlay.controller.kill()
        done = overlay.a.ctl("logout", "--yes", check=False, timeout=90)
        assert done.returncode == 7 and done.stderr, done
        assert overlay.a.devices() == []


def test_a_renamed_node_is_renamed_everywhere():
    with Overlay("a", "b") as overlay:
        overlay.controller.ctl("node", "rename", "b", "bee", "--tenant", "acme")
        wait_until(lambda: overlay.a.peer("bee"), 10, "a knows the new name")
        assert overlay.a.peer("b") is None
        overlay.a.ping(overlay.b)

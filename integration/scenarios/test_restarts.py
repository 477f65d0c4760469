# SPDX-License-Identifier: Apache-2.0
"""Processes and machines that end and come back. The kernel forwards all the while."""
import os
import random
import re
import time

from product import FloodPing, Overlay
from topology import wait_until

KILLS = 20


def test_a_node_rebooted_with_its_state_alone_keeps_identity_and_address():
    with Overlay("a", "b") as overlay:
        overlay.b.ping(overlay.a)
        before, key = overlay.a.own(), overlay.a.public_key()
        overlay.a.reboot()
        assert overlay.a.devices() == []
        overlay.a.start()
        wait_until(lambda: overlay.a.state() == "CONNECTED", 20, "a is connected")
        overlay.a.wait_until_converged()
        after = overlay.a.own()
        assert (after["id"], after["addresses"], overlay.a.public_key()) == (before["id"], before["addresses"], key)
        overlay.b.ping(overlay.a, timeout=20)
        assert len(overlay.controller.nodes()) == 2


def test_an_agent_killed_20_times_under_a_flood_loses_no_packet():
    """F60. Kills fall at any moment: during start, mid-apply, at rest."""
    with Overlay("a", "b") as overlay:
        overlay.a.ping(overlay.b)
        seed = random.SystemRandom().randrange(10**6)
        print(f"seed {seed}")
        moments = random.Random(seed)
        session = overlay.b.public_key()
        device = overlay.a.host.ip_json("link", "show", "dev", overlay.a.device)[0]["ifindex"]

        baseline = FloodPing(overlay.b.host, "10.100.0.1")
        time.sleep(5)  # the length of the run to compare with, not a wait
        baseline_sent, baseline_lost = baseline.stop()

        flood = FloodPing(overlay.b.host, "10.100.0.1")
        for _ in range(KILLS):
            overlay.a.kill()
            overlay.a.process = overlay.a.host.popen(overlay.a.process.popen.args[0], "--config", overlay.a.config, name="agent")
            time.sleep(moments.uniform(0, 1.5))  # the moment of the kill is the input of this scenario
        overlay.a.kill()
        overlay.a.start()
        wait_until(lambda: overlay.a.state() == "CONNECTED", 20, "a is connected")
        overlay.a.wait_until_converged()
        sent, lost = flood.stop()
        print(f"baseline {baseline_lost} of {baseline_sent} lost, with {KILLS + 1} kills {lost} of {sent}")
        assert sent >= 1000 and lost <= baseline_lost
        assert overlay.a.host.ip_json("link", "show", "dev", overlay.a.device)[0]["ifindex"] == device
        assert overlay.a.wireguard().keys() == {session}


def test_a_dead_controller_and_a_rebooted_node_come_up_from_the_disk():
    with Overlay("a", "b") as overlay:
        overlay.a.ping(overlay.b)
        overlay.controller.kill()
        overlay.a.ping(overlay.b)
        overlay.a.reboot()
        overlay.a.start()
        wait_until(lambda: overlay.a.state() == "CONTROLLER_UNREACHABLE", 20, "a knows that its controller is away")
        overlay.a.wait_until_converged()
        overlay.a.ping(overlay.b, timeout=20)
        assert overlay.a.ctl("status").returncode == 0
        overlay.controller.start()
        wait_until(lambda: overlay.a.state() == "CONNECTED", 40, "a has found it again")
        c = overlay.add("c")
        overlay.wait_until_all_know_all()
        c.ping(overlay.a)


def test_a_controller_restarted_forgets_nothing():
    with Overlay("a", "b") as overlay:
        nodes = {(node["id"], node["name"]) for node in overlay.controller.nodes()}
        overlay.controller.setup()
        overlay.controller.restart()
        assert {(node["id"], node["name"]) for node in overlay.controller.nodes()} == nodes
        c = overlay.add("c")
        assert c.addresses()[0] == "10.100.0.3"
        overlay.wait_until_all_know_all(40)
        c.ping(overlay.a)


def test_a_spoiled_state_file_is_kept_and_the_one_before_is_used():
    """F44."""
    with Overlay("a", "b") as overlay:
        overlay.a.ping(overlay.b)
        revision = overlay.a.own()["mapRevision"]
        overlay.controller.ctl("node", "rename", "b", "second", "--tenant", "acme")
        wait_until(lambda: overlay.a.own()["mapRevision"] != revision, 20, "two generations of the map know b")
        before, key = overlay.a.own(), overlay.a.public_key()
        overlay.controller.kill()
        overlay.a.reboot()
        spoiled = 0
        for folder, _, files in os.walk(overlay.a.state_dir):
            for name in files:
                if re.fullmatch(r".*(map|head|fragment)[^.]*(\.json)?", name):
                    with open(os.path.join(folder, name), "r+b") as file:
                        file.truncate(0)
                    spoiled += 1
        assert spoiled, os.listdir(overlay.a.state_dir)
        overlay.a.start()
        overlay.a.wait_until_converged()
        assert overlay.a.own()["id"] == before["id"] and overlay.a.public_key() == key
        assert "MAP_PREVIOUS" in [item["code"] for item in overlay.a.own()["health"]]
        assert [name for _, _, files in os.walk(overlay.a.state_dir) for name in files if name.endswith(".bad")]
        overlay.a.ping(overlay.b, timeout=20)

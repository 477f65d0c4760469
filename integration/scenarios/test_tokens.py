# SPDX-License-Identifier: Apache-2.0
"""Tokens that do not count: exit status 4 and a sentence that names why. No half set-up is left."""
import json
from datetime import datetime, timezone

import pytest

from product import Agent, Controller, Overlay
from topology import wait_until


@pytest.fixture(scope="module")
def overlay():
    with Overlay("a") as one:
        one.fresh = Agent(one.net.host("fresh", one.lan)).start()
        yield one


def refused(overlay, token, *words):
    done = overlay.fresh.up(token, check=False, wait=20)
    assert done.returncode == 4, f"exit {done.returncode}: {done.stdout}{done.stderr}"
    assert any(word in done.stderr.lower() for word in words), done.stderr
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) <= 3
    assert overlay.fresh.state() == "NEEDS_ENROLMENT" and overlay.fresh.devices() == []
    assert [node["name"] for node in overlay.controller.nodes()] == ["a"]


def test_a_wrong_token_is_refused(overlay):
    refused(overlay, "not-a-token", "token")
    refused(overlay, "cvlan_reg_AAAA.BBBB", "token")


def test_a_forged_token_is_refused(overlay):
    token = overlay.controller.token()
    other = overlay.controller.token()
    refused(overlay, token.split(".")[0] + "." + other.split(".")[1], "token", "signature")


def test_a_spent_token_is_refused(overlay):
    token = overlay.controller.token(uses=1)
    second = overlay.add("second", token=token)
    overlay.controller.ctl("node", "delete", "second", "--tenant", "acme", "--yes")
    second.stop()
    refused(overlay, token, "spent", "used")


def test_an_expired_token_is_refused(overlay):
    made = json.loads(overlay.controller.ctl("token", "create", "--tenant", "acme", "--network", "net", "--expires", "1s", "-o", "json").stdout)
    shown = overlay.controller.ctl_json("token", "show", made["id"], "--tenant", "acme")
    expires = datetime.fromisoformat(shown["expiresAt"])
    wait_until(lambda: datetime.now(timezone.utc) > expires, 10, "the token has expired")
    refused(overlay, made["token"], "expired")


def test_a_revoked_token_is_refused(overlay):
    made = json.loads(overlay.controller.ctl("token", "create", "--tenant", "acme", "--network", "net", "-o", "json").stdout)
    overlay.controller.ctl("token", "revoke", made["id"], "--tenant", "acme", "--yes")
    refused(overlay, made["token"], "revoked")


def test_a_token_of_another_server_is_refused(overlay):
    """Another controller, by the same name and port, elsewhere: its token pins its own authority."""
    island = overlay.net.switch("island", ipv4="203.0.113.0/24")
    elsewhere = overlay.net.host("elsewhere", island)
    assert elsewhere.ipv4 == overlay.controller.address
    other = Controller(elsewhere).start()
    other.ctl("tenant", "create", "acme")
    other.ctl("network", "create", "net", "--tenant", "acme", "--ipv4", "10.100.0.0/24")
    refused(overlay, other.token(), "another", "authority", "other", "does not match", "certificate")


def test_a_good_token_still_enrols(overlay):
    overlay.fresh.up(overlay.controller.token())
    assert overlay.fresh.state() == "CONNECTED"
    overlay.fresh.ping(overlay.a)

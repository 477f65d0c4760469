# SPDX-License-Identifier: Apache-2.0
"""cvlan-relay on a real controller and a real kernel. The nodes' side is relay_client.py, with what their agents have enrolled; the
agents themselves have ended, because a relay has one session for a key."""
import signal
import ssl

import pytest

from product import Overlay, Relay, program
from relay_client import BARRED, ERROR, LEAVING, RECV, SEND, UNPAIR, Refused, RelayClient, ask_stun, mapped, udp_socket
from topology import wait_until


@pytest.fixture(scope="module")
def overlay():
    with Overlay("a", "b", "c") as one:
        for agent in one.agents.values():
            agent.stop()
        one.relay = Relay(one.net.host("r1", one.lan), one.controller).start()
        yield one


@pytest.fixture(scope="module")
def clients(overlay):
    """Sessions of a and b."""
    return RelayClient(overlay.a, overlay.relay), RelayClient(overlay.b, overlay.relay)


@pytest.fixture(scope="module")
def pair(clients):
    """a and b, forwarded by the relay's kernel."""
    sides = clients[0].ask_for_pair(clients[1]), clients[1].ask_for_pair(clients[0])
    for side in sides:
        side.bind()
    for side in sides:
        side.wait_until_ready()
    return sides


def test_a_relay_enrols_with_a_token_of_its_role_and_is_shown(overlay):
    controller, relay = overlay.controller, overlay.relay
    assert "r1" in controller.ctl("relay", "list", "--tenant", "acme").stdout
    shown = controller.ctl_json("relay", "show", "r1", "--tenant", "acme")
    assert shown["endpoints"] == relay.endpoints and shown["stunPort"] == 3478
    assert shown["node"] == "r1" and overlay.node("r1")["role"] == "RELAY"
    assert relay.metric("cvlan_relay_tenants_reached") == 1


def test_a_token_of_a_node_makes_no_relay(overlay):
    done = overlay.relay.host.run(program("cvlan-relay"), "enrol", "--config", overlay.relay.config,
                                  "--state-dir", f"{overlay.relay.folder}/other", "--token-file", "-",
                                  input=overlay.controller.token(), check=False)
    assert done.returncode == 1 and "RELAY" in done.stderr


def test_stun_is_answered_on_each_port_and_family_and_with_no_more_bytes_than_came(overlay):
    a, r1 = overlay.a.host, overlay.relay.host
    for address, to in ((a.ipv4, r1.ipv4), (a.ipv6, r1.ipv6)):
        sock = udp_socket(a, address)
        for port in (3478, 443):
            answer = ask_stun(sock, (to, port))
            assert answer and mapped(answer) == sock.getsockname()[:2]
    assert ask_stun(udp_socket(a, a.ipv4), (r1.ipv4, 3478), software=None) is None


def test_packets_go_by_tls_under_the_senders_own_key(clients):
    a, b = clients
    a.say(SEND, b.key + b"hello")
    assert b.wait_for(RECV) == a.key + b"hello"
    b.say(SEND, a.key + b"x" * 60000)
    assert a.wait_for(RECV) == b.key + b"x" * 60000


def test_a_pair_is_forwarded_while_no_process_of_the_relay_runs(overlay, pair):
    a, b = pair
    assert a.port == b.port and a.speaks_with(b)
    assert overlay.relay.pairs() == 1
    overlay.relay.process.popen.send_signal(signal.SIGSTOP)
    assert a.speaks_with(b)
    overlay.relay.process.popen.send_signal(signal.SIGCONT)


def test_a_pair_outlives_the_relays_process_which_takes_it_over(overlay, clients, pair):
    relay = overlay.relay
    for ends in (relay.kill, relay.stop):
        ends()
        assert pair[0].speaks_with(pair[1]) and relay.pairs() == 1
        relay.start()
        assert pair[0].speaks_with(pair[1]) and relay.pairs() == 1
        assert relay.metric("cvlan_relay_pairs_adopted") == 1
        again = RelayClient(overlay.a, relay), RelayClient(overlay.b, relay)
        sides = again[0].ask_for_pair(again[1]), again[1].ask_for_pair(again[0])
        assert {side.port for side in sides} == {pair[0].port}
        for side, before in zip(sides, pair):
            side.sock = before.sock
            side.bind()
        for side in sides:
            side.wait_until_ready()
        assert pair[0].speaks_with(pair[1]) and relay.pairs() == 1
        assert relay.metric("cvlan_relay_pairs_adopted") == 0
    with pytest.raises((EOFError, OSError)):
        while clients[0].next():
            pass


def test_a_relay_that_ends_says_so(overlay):
    a = RelayClient(overlay.a, overlay.relay)
    overlay.relay.stop()
    assert a.wait_for(ERROR)[0] == LEAVING
    with pytest.raises((EOFError, OSError)):
        a.next()
    overlay.relay.start()


def test_a_revoked_node_is_cut_within_5_s_with_its_pairs_and_does_not_come_back(overlay):
    relay = overlay.relay
    relay.forget_pairs()
    relay.stop()
    relay.start()
    a, c = RelayClient(overlay.a, relay), RelayClient(overlay.c, relay)
    sides = a.ask_for_pair(c), c.ask_for_pair(a)
    for side in sides:
        side.bind()
    for side in sides:
        side.wait_until_ready()
    assert sides[0].speaks_with(sides[1]) and relay.pairs() == 1
    overlay.controller.ctl("node", "revoke", "c", "--tenant", "acme", "--yes")
    wait_until(lambda: relay.pairs() == 0, 5, "the pair is gone", hard=True)
    assert c.wait_for(ERROR, timeout=5)[0] == BARRED
    assert a.wait_for(UNPAIR, timeout=5)[64] == 1
    with pytest.raises((EOFError, OSError)):
        c.next()
    with pytest.raises((Refused, ssl.SSLError, OSError), match="403|alert"):
        c._connect()
    assert RelayClient(overlay.a, relay).key == a.key

# SPDX-License-Identifier: Apache-2.0
"""A node's side of a relay, spoken by this process from a node's host with what its agent has enrolled: what
relay/README.md says, written a second time, so that the relay is held to its page and not to our client."""
import hmac
import http.client
import ipaddress
import json
import os
import socket
import ssl
import struct
import tempfile
import urllib.parse
import zlib

from product import identity
from topology import PATIENCE

HELLO, GRANT, GRANTED, SEND, RECV, PING, PONG, PEER_GONE, PAIR, OFFER, READY, UNPAIR = range(1, 13)
ERROR = 15
GRANT_REFUSED, LIMIT, PAIR_REFUSED, BARRED, LEAVING = range(2, 7)
COOKIE = 0x2112A442
BINDING, BINDING_SUCCESS, BIND, BIND_SUCCESS, BIND_ERROR = 0x0001, 0x0101, 0x028A, 0x038A, 0x039A
USERNAME, ERROR_CODE, NONCE, INTEGRITY, XOR_MAPPED, FINGERPRINT, SOFTWARE = 0x0006, 0x0009, 0x0015, 0x001C, 0x0020, 0x8028, 0x8022


class Stun:
    """One message: built attribute by attribute, or read."""

    def __init__(self, kind, transaction=None):
        self.kind, self.transaction, self.body = kind, transaction or os.urandom(12), b""

    def bytes(self, more=0):
        return struct.pack("!HHI", self.kind, len(self.body) + more, COOKIE) + self.transaction + self.body

    def add(self, kind, value):
        self.body += struct.pack("!HH", kind, len(value)) + value + b"\0" * (-len(value) % 4)
        return self

    def integrity(self, key):
        return self.add(INTEGRITY, hmac.digest(key, self.bytes(36), "sha256"))

    def fingerprint(self):
        return self.add(FINGERPRINT, struct.pack("!I", zlib.crc32(self.bytes(8)) ^ 0x5354554E))


def read_stun(data):
    """(type, transaction, {attribute: (value, offset)})"""
    kind, size, cookie = struct.unpack_from("!HHI", data)
    assert cookie == COOKIE and size == len(data) - 20, data.hex()
    attributes, at = {}, 20
    while at < len(data):
        name, length = struct.unpack_from("!HH", data, at)
        attributes[name] = (data[at + 4:at + 4 + length], at)
        at += 4 + length + -length % 4
    return kind, data[8:20], attributes


def is_signed(data, key):
    """Its MESSAGE-INTEGRITY-SHA256 is good (RFC 8489, section 14.6: the length counts up to itself)."""
    value, at = read_stun(data)[2][INTEGRITY]
    covered = data[:2] + struct.pack("!H", at + 36 - 20) + data[4:at]
    return hmac.compare_digest(value, hmac.digest(key, covered, "sha256"))


def mapped(data):
    _, transaction, attributes = read_stun(data)
    value = attributes[XOR_MAPPED][0]
    mask = struct.pack("!I", COOKIE) + transaction
    port = struct.unpack_from("!H", value, 2)[0] ^ COOKIE >> 16
    return str(ipaddress.ip_address(bytes(a ^ b for a, b in zip(value[4:], mask)))), port


def udp_socket(host, address, port=0):
    with host.inside():
        made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        made.bind((address, port))
        made.settimeout(2 * PATIENCE)
        return made


def ask_stun(sock, to, software=b"                        "):
    """The answer to a Binding request, or None."""
    request = Stun(BINDING)
    if software:
        request.add(SOFTWARE, software).fingerprint()
    sock.sendto(request.bytes(), to)
    try:
        answer, source = sock.recvfrom(2048)
    except TimeoutError:
        return None
    assert source[:2] == to and len(answer) <= len(request.bytes()) and answer[8:20] == request.transaction
    return answer


def tls_of(own):
    """A node's TLS, of what its agent keeps."""
    context = ssl.create_default_context(cadata="\n".join(own["trustBundle"]))
    folder = tempfile.mkdtemp(prefix="client-")
    path = os.path.join(folder, "own.pem")
    with open(path, "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(own["certificate"] + "\n" + own["tlsKey"])
    context.load_cert_chain(path)
    return context


def grants_of(agent):
    """What the controller grants its node, as the agent would ask."""
    own = identity(agent.state_dir)
    controller = urllib.parse.urlsplit(own["session"][0])
    connection = http.client.HTTPSConnection(controller.hostname, controller.port, context=tls_of(own), timeout=10 * PATIENCE)
    with agent.host.inside():
        connection.request("POST", "/api/v1/node/relay-grants")
        answer = connection.getresponse()
        body = answer.read()
    connection.close()
    assert answer.status == 200, body
    return json.loads(body)["grants"]


class Refused(Exception):
    """The relay answered with something other than 101."""


class RelayClient:
    """A session of an agent's node with a relay."""

    def __init__(self, agent, relay):
        self.agent, self.relay = agent, relay
        self.own = identity(agent.state_dir)
        theirs = identity(relay.state_dir, self.own["tenantId"])
        self.name = f"{theirs['nodeId']}.{self.own['tenantId']}.{self.own['trustDomain']}"
        self.tls = tls_of(self.own)
        self.grants = grants_of(agent)
        self.sock = self._connect()
        self.seen = []  # frames that nobody waited for yet
        assert self.wait_for(HELLO)[0] == 1
        for grant in self.grants:
            self.say(GRANT, json.dumps(grant).encode())
        self.key = self.wait_for(GRANTED)[:32]

    def _connect(self):
        with self.agent.host.inside():
            plain = socket.create_connection((self.relay.host.ipv4, self.relay.port), timeout=10 * PATIENCE)
        sock = self.tls.wrap_socket(plain, server_hostname=self.name)
        sock.sendall(f"GET /relay HTTP/1.1\r\nHost: {self.name}\r\nConnection: Upgrade\r\nUpgrade: cvlan-relay\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += sock.recv(1) or b"\r\n\r\n"
        if not head.startswith(b"HTTP/1.1 101 "):
            raise Refused(head.decode())
        return sock

    def close(self):
        self.sock.close()

    def say(self, kind, body):
        self.sock.sendall(struct.pack("!BI", kind, len(body)) + body)

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def next(self, timeout=10 * PATIENCE):
        """(type, body); TimeoutError, or EOFError where the session has ended."""
        self.sock.settimeout(timeout)
        kind, size = struct.unpack("!BI", self._exactly(5))
        return kind, self._exactly(size)

    def wait_for(self, kind, timeout=10 * PATIENCE):
        """The body of the next frame of that type; others stay for later."""
        for index, (known, body) in enumerate(self.seen):
            if known == kind:
                del self.seen[index]
                return body
        while True:
            known, body = self.next(timeout)
            if known == kind:
                return body
            self.seen.append((known, body))

    def ask_for_pair(self, peer):
        self.say(PAIR, self.key + peer.key)
        while True:
            offer = self.wait_for(OFFER)
            if offer[32:64] == peer.key:
                return Pair(self, offer)


class Pair:
    """A pair as one side has it: an offer, and a UDP socket in WireGuard's place."""

    def __init__(self, client, offer):
        self.client = client
        self.bind_id, self.secret = offer[64:80], offer[80:112]
        self.port, = struct.unpack_from("!H", offer, 112)
        self.to = (client.relay.host.ipv4, self.port)
        self.sock = udp_socket(client.agent.host, client.agent.host.ipv4)

    def ask(self, nonce=None):
        """One bind request, from this socket; the answer's type and attributes."""
        request = Stun(BIND).add(USERNAME, self.bind_id.hex().encode())
        if nonce:
            request.add(NONCE, nonce)
        data = request.integrity(self.secret).fingerprint().bytes()
        self.sock.sendto(data, self.to)
        answer, source = self.sock.recvfrom(2048)
        assert source == self.to and len(answer) <= len(data) and answer[8:20] == request.transaction
        assert is_signed(answer, self.secret)
        return answer

    def bind(self):
        first = self.ask()
        kind, _, attributes = read_stun(first)
        assert kind == BIND_ERROR and attributes[ERROR_CODE][0] == b"\0\0\x04\x26", first.hex()  # 438
        answer = self.ask(attributes[NONCE][0])
        assert read_stun(answer)[0] == BIND_SUCCESS and mapped(answer) == self.sock.getsockname()

    def wait_until_ready(self):
        body = self.client.wait_for(READY)
        assert body[64] == 4 and socket.inet_ntoa(body[65:69]) == self.to[0] and struct.unpack_from("!H", body, 69)[0] == self.port

    def speaks_with(self, other, rounds=3):
        """Datagrams go both ways, each from the relay's port."""
        for number in range(rounds):
            for a, b in ((self, other), (other, self)):
                text = f"{number} {os.urandom(8).hex()}".encode()
                a.sock.sendto(text, a.to)
                if b.sock.recvfrom(2048) != (text, b.to):
                    return False
        return True

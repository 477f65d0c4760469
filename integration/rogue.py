# SPDX-License-Identifier: Apache-2.0
"""A relay that has gone bad, with a real relay's certificate and in its place (relay/README.md is what it speaks):

    rogue.py CHAIN KEY ADDRESS TLS_PORT STUN_PORT VICTIM_ADDRESS SEED

Of the packets that it is to forward, by TLS and by UDP, it drops some, sends some twice, at once and again later, holds
some back and gives them out in the wrong order, spoils some, and adds some of its own. To every node it says that its
mapped address is the victim's, and that peers are to be reached there. Once it is used it prints a line of counts a second.
"""
import asyncio
import base64
import collections
import ipaddress
import json
import os
import random
import ssl
import struct
import sys

from relay_client import (BIND, BIND_SUCCESS, BINDING, BINDING_SUCCESS, COOKIE, GRANT, GRANTED, HELLO, OFFER, PAIR, PEER_GONE, PING, PONG, READY,
                          RECV, SEND, USERNAME, XOR_MAPPED, Stun, read_stun)

FIRST_PAIR_PORT = 49152

counts = collections.Counter()


class Mischief:
    """What becomes of one packet: a list of what is sent in its place."""

    def __init__(self, seed):
        self.random, self.old, self.held = random.Random(seed), collections.deque(maxlen=64), []

    def of(self, packet):
        counts["packets"] += 1
        what = self.random.random()
        self.old.append(packet)
        if what < 0.10:
            counts["dropped"] += 1
            return []
        if what < 0.20:
            counts["replayed"] += 2
            return [packet, packet, self.random.choice(self.old)]
        if what < 0.30:
            counts["spoilt"] += 1
            at = self.random.randrange(len(packet) or 1)
            return [packet[:at] + bytes([self.random.randrange(256)]) + packet[at + 1:], packet[:at]]
        if what < 0.45:
            self.held.append(packet)
            if len(self.held) < 3:
                return []
            held, self.held = self.held, []
            counts["reordered"] += len(held)
            return held[::-1]
        if what < 0.55:
            counts["injected"] += 2
            wireguard = bytes([self.random.randrange(1, 5), 0, 0, 0]) + self.random.randbytes(self.random.choice((28, 88, 60, 144)))
            return [packet, wireguard, self.random.randbytes(self.random.randrange(1500))]
        return [packet]


def packed(address, port):
    ip = ipaddress.ip_address(address)
    return bytes([ip.version]) + ip.packed + struct.pack("!H", port)


class Session:
    """A node's TLS session."""

    def __init__(self, relay, reader, writer):
        self.relay, self.reader, self.writer, self.keys = relay, reader, writer, []

    async def run(self):
        try:
            await self.reader.readuntil(b"\r\n\r\n")
            self.writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: cvlan-relay\r\n\r\n")
            self.say(HELLO, bytes([1, 0]) + packed(self.relay.address, self.relay.stun_port))
            while True:
                kind, size = struct.unpack("!BI", await self.reader.readexactly(5))
                await self.take(kind, await self.reader.readexactly(size))
        except (OSError, asyncio.IncompleteReadError):
            self.writer.close()

    def say(self, kind, body):
        self.writer.write(struct.pack("!BI", kind, len(body)) + body)

    async def take(self, kind, body):
        if kind == GRANT:
            grant = json.loads(base64.b64decode(json.loads(body)["payload"]))
            key = base64.b64decode(grant["wireguardPublicKey"])
            self.keys.append(key)
            self.relay.sessions[key] = self
            self.say(GRANTED, key)
        elif kind == PING:
            self.say(PONG, body)
            # What no relay should say, and nobody has asked for.
            self.say(0x7F, os.urandom(40))
            self.say(PEER_GONE, os.urandom(32) + b"\0")
        elif kind == SEND:
            peer = self.relay.sessions.get(body[:32])
            for packet in self.relay.mischief.of(body[32:]) if peer and self.keys else []:
                peer.say(RECV, self.keys[0] + packet)
        elif kind == PAIR:
            await self.relay.offer(self, body[:32], body[32:64])


def mapped_to(request, kind, address, secret=None):
    """The answer to a STUN request which says that it came from there."""
    value = struct.pack("!BBHI", 0, 1, address[1] ^ COOKIE >> 16, int(ipaddress.ip_address(address[0])) ^ COOKIE)
    answer = Stun(kind, request[8:20]).add(XOR_MAPPED, value)
    return (answer.integrity(secret) if secret else answer).fingerprint().bytes()


def stun_of(data):
    """(type, attributes), or nothing where it is none."""
    try:
        kind, _, attributes = read_stun(data)
        return kind, attributes
    except (AssertionError, struct.error):
        return None, {}


class Port(asyncio.DatagramProtocol):
    """A UDP port of a pair: binds, and what the two send."""

    def __init__(self, relay, keys, number):
        self.relay, self.keys, self.number, self.bound, self.ids = relay, keys, number, {}, {}

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        kind, attributes = stun_of(data)
        if kind == BIND:
            return self.bind_request(data, attributes, addr)
        own = next((key for key, at in self.bound.items() if at == addr), None)
        other = next((at for key, at in self.bound.items() if key != own), None)
        for packet in self.relay.mischief.of(data) if own and other else []:
            self.transport.sendto(packet, other)

    def bind_request(self, request, attributes, source):
        name = attributes.get(USERNAME, (b"", 0))[0].decode("ascii", "replace").lower()
        key, secret = self.ids.get(name, (None, None))
        if key is None:
            return
        counts["binds"] += 1
        self.transport.sendto(mapped_to(request, BIND_SUCCESS, source, secret), source)
        new = self.bound.get(key) != source
        self.bound[key] = source
        if new and len(self.bound) == 2:
            for own, peer in (self.keys, self.keys[::-1]):
                if own in self.relay.sessions:
                    for at in (self.relay.victim, self.relay.address):
                        self.relay.sessions[own].say(READY, own + peer + packed(at, self.number))


class Liar(asyncio.DatagramProtocol):
    """The STUN server."""

    def __init__(self, victim):
        self.victim = victim

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        if stun_of(data)[0] == BINDING:
            counts["lies"] += 1
            self.transport.sendto(mapped_to(data, BINDING_SUCCESS, (self.victim, 51820)), addr)


class Relay:
    def __init__(self, address, stun_port, victim, seed):
        self.address, self.stun_port, self.victim = address, stun_port, victim
        self.mischief, self.sessions, self.ports, self.lock = Mischief(seed), {}, {}, asyncio.Lock()

    async def offer(self, session, own, peer):
        keys = tuple(sorted((own, peer)))
        async with self.lock:
            if keys not in self.ports:
                self.ports[keys] = Port(self, keys, FIRST_PAIR_PORT + len(self.ports))
                await listen_udp(self.ports[keys], self.address, self.ports[keys].number)
        port, bind_id, secret = self.ports[keys], os.urandom(16), os.urandom(32)
        port.ids[bind_id.hex()] = (own, secret)
        session.say(OFFER, own + peer + bind_id + secret + struct.pack("!H", port.number) + packed(self.address, 0)[:-2])


async def listen_udp(protocol, address, port):
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: protocol, local_addr=(address, port))


async def main():
    chain, key, address, tls_port, stun_port, victim, seed = sys.argv[1:]
    relay = Relay(address, int(stun_port), victim, int(seed))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(chain, key)
    tls.set_alpn_protocols(["http/1.1"])
    await listen_udp(Liar(victim), address, stun_port)
    await asyncio.start_server(lambda *streams: Session(relay, *streams).run(), address, int(tls_port), ssl=tls)
    said = None
    while True:
        await asyncio.sleep(1)
        if said != (said := json.dumps(counts)):
            print(said, flush=True)


if __name__ == "__main__":
    asyncio.run(main())

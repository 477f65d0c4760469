# SPDX-License-Identifier: Apache-2.0
"""Echo requests through overlays, ten a second on many pairs at once, from this process: since when the kernel knows
the peer, when the first was answered, and how long none was.

    with Pulse() as pulse:
        pulse.add("a>b", host, "10.100.0.2")
        wait_until(lambda: pulse.first("a>b"))
        fault = pulse.now()
        …
        assert pulse.silence("a>b", fault) < 3

A program a pair would be late under emulation by more than what is measured. The echo is a packet like others: the
kernels of both ends, and whatever stands between them, see nothing else.
"""
import errno
import select
import socket
import struct
import threading
import time

EVERY_SECONDS = 0.1
# What the kernel says of a packet to a peer that it does not have (yet): no route, or WireGuard's own word.
UNKNOWN = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EACCES, errno.ENOKEY, errno.ENODEV, errno.ENETDOWN, errno.EINVAL}
# An agent that makes a peer anew takes it away for a moment, and what that costs is part of what is measured.
UNKNOWN_BEATS = 3


def _echo(number, sequence):
    head = struct.pack("!BBHHH", 8, 0, 0, number, sequence)
    total = sum(struct.unpack("!4H", head))
    total = (total & 0xFFFF) + (total >> 16)
    return head[:2] + struct.pack("!H", ~total & 0xFFFF) + head[4:]


class _Beat:
    """One pair. Sequence numbers wrap after two hours."""

    def __init__(self, number, socket_, address):
        self.number, self.socket, self.address = number, socket_, address
        self.known, self.unknown, self.rests = None, 0, False
        self.sent, self.got, self.doubles = [], [], 0


class Pulse:
    now = staticmethod(time.monotonic)

    def __init__(self):
        self._beats, self._sockets, self._lock = {}, {}, threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._ended.set()
        self._thread.join()
        for one in self._sockets.values():
            one.close()

    def add(self, key, host, address):
        with self._lock:
            if host.name not in self._sockets:
                with host.inside():
                    self._sockets[host.name] = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_ICMP)
            self._beats[key] = _Beat(len(self._beats) + 1, self._sockets[host.name], address)

    def only(self, *keys):
        """The others rest: nothing but what is named keeps a path awake."""
        for key, beat in self._beats.items():
            beat.rests = key not in keys

    def all(self):
        self.only(*self._beats)

    def known(self, key):
        """Since when the kernel there has had the peer without a break of longer than a moment; None: it has not."""
        return self._beats[key].known

    def first(self, key, since=0):
        """When the first answer after that time came; None: none has."""
        return next((at for at in self._beats[key].got if at >= since), None)

    def silence(self, key, since, until=None):
        """The longest time without an answer, in seconds."""
        until = until or self.now()
        at = [since, *(got for got in list(self._beats[key].got) if since < got < until), until]
        return max(later - sooner for sooner, later in zip(at, at[1:]))

    def unanswered(self, key, since, until=None):
        """(asked, not answered) of those sent in that time; ask when the last had its time."""
        until = until or self.now()
        beat = self._beats[key]
        asked = [answered for at, answered in list(beat.sent) if since <= at < until]
        return len(asked), asked.count(False)

    def doubles(self, key):
        """Answers that came more than once."""
        return self._beats[key].doubles

    def _run(self):
        due = self.now()
        while not self._ended.is_set():
            with self._lock:
                beats, sockets = list(self._beats.values()), list(self._sockets.values())
            if self.now() >= due:
                due = max(due + EVERY_SECONDS, self.now())
                for beat in beats:
                    if not beat.rests:
                        self._send(beat)
            by_number = {beat.number: beat for beat in beats}
            for ready in select.select(sockets, [], [], max(0, due - self.now()))[0]:
                self._receive(ready, by_number)

    def _send(self, beat):
        try:
            beat.socket.sendto(_echo(beat.number, len(beat.sent) & 0xFFFF), (beat.address, 0))
            known = True
        except OSError as error:
            known = error.errno not in UNKNOWN
        now = self.now()
        beat.unknown = 0 if known else beat.unknown + 1
        if known:
            beat.known = beat.known or now
        elif beat.unknown >= UNKNOWN_BEATS:
            beat.known = None
        beat.sent.append([now, False])

    def _receive(self, ready, by_number):
        while True:
            try:
                packet = ready.recv(2048)
            except BlockingIOError:
                return
            kind, _, _, number, sequence = struct.unpack_from("!BBHHH", packet, (packet[0] & 15) * 4)
            beat = by_number.get(number)
            if kind == 0 and beat and beat.socket is ready:
                # The newest of that number, for they wrap.
                turns = (len(beat.sent) - 1 - sequence) >> 16
                index = sequence + (turns << 16)
                if 0 <= index < len(beat.sent):
                    beat.doubles += beat.sent[index][1]
                    beat.sent[index][1] = True
                    beat.got.append(self.now())

# SPDX-License-Identifier: Apache-2.0
"""An HTTP CONNECT proxy, as an office has it: the one way out of a segment, and only to port 443.

Run as a program it is the proxy: proxy.py ADDRESS PORT. It prints the target of each tunnel that it opens.
"""
import socket
import sys
import threading

ALLOWED_PORT = "443"


class Proxy:
    """The proxy on a host of its own, between two segments; that host forwards nothing."""

    def __init__(self, topology, name, inside, outside, port=3128):
        self.host = topology.host(name, inside, outside)
        self.address = (inside.address_of(self.host), port)
        self.process = self.host.popen("/usr/bin/python3", "-S", "-u", __file__, *self.address, name="proxy")
        self.wait_until_ready()

    def wait_until_ready(self):
        from topology import wait_until  # not for the program, which starts sooner without

        def answers():
            with self.host.inside():
                socket.create_connection(self.address, timeout=1).close()
            return True
        wait_until(answers, 20, "the proxy listens")

    @property
    def url(self):
        return f"http://{self.address[0]}:{self.address[1]}"

    def tunnels(self):
        return self.process.log().split()


def read_head(client):
    head = b""
    while b"\r\n\r\n" not in head and len(head) < 8192:
        more = client.recv(4096)
        if not more:
            break
        head += more
    return head


def copy(source, sink):
    """Until the source ends; then the other side hears of it."""
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        for end in (source, sink):
            end.close()


def serve(client):
    words = read_head(client).split(b"\r\n")[0].decode("latin-1").split(" ")
    target = words[1] if len(words) == 3 and words[0] == "CONNECT" else ""
    host, _, port = target.rpartition(":")
    if port != ALLOWED_PORT:
        client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        client.close()
        return
    try:
        server = socket.create_connection((host.strip("[]"), int(port)), timeout=10)
    except OSError:
        client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        client.close()
        return
    server.settimeout(None)
    print(target)
    for end in (client, server):
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
    threading.Thread(target=copy, args=(server, client), daemon=True).start()
    copy(client, server)


def main():
    with socket.create_server((sys.argv[1], int(sys.argv[2]))) as listener:
        while True:
            client, _ = listener.accept()
            threading.Thread(target=serve, args=(client,), daemon=True).start()


if __name__ == "__main__":
    main()

# SPDX-License-Identifier: Apache-2.0
"""A captive portal: whatever is asked for on its port, by HTTP or by TLS with a certificate of its own making, is answered
with 200 and a page. It prints the first line of each request that it could read.

Run as a program it is the portal: portal.py CERTIFICATE KEY ADDRESS PORT.
"""
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading

PAGE = b"<!DOCTYPE html><html><body>Please accept our terms.</body></html>"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(PAGE), PAGE)


class Portal:
    """The portal on a host, with a certificate for whatever name."""

    def __init__(self, host, name, port=443):
        self.host, self.port, folder = host, port, tempfile.mkdtemp(prefix="portal-")
        files = [os.path.join(folder, one) for one in ("certificate", "key")]
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                        "-addext", f"subjectAltName=DNS:{name}", "-days", "30", "-out", files[0], "-keyout", files[1]], check=True, capture_output=True)
        self.process = host.popen("/usr/bin/python3", "-S", "-u", __file__, *files, host.ipv4, port, name="portal")

    def takes(self, router):
        """From now on what passes the router to that port, new and old, comes here."""
        router.run("nft", "-f", "-", input="table ip portal { chain pre { type nat hook prerouting priority -110; "
                   f"ip saddr 192.168.0.0/16 tcp dport {self.port} dnat to {self.host.ipv4}:{self.port}; }}; }}")
        router.flush()

    def lets_go(self, router):
        router.run("nft", "delete", "table", "ip", "portal")
        router.flush()

    def requests(self):
        return self.process.log().splitlines()


def serve(client, context):
    with client:
        client.settimeout(30)
        try:
            if client.recv(1, socket.MSG_PEEK) == b"\x16":  # a ClientHello
                client = context.wrap_socket(client, server_side=True)
            while head := client.recv(16384):
                print(head.split(b"\r\n")[0].decode("latin-1"))
                client.sendall(ANSWER)
        except OSError:
            pass
        finally:
            client.close()


def main():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*sys.argv[1:3])
    with socket.create_server((sys.argv[3], int(sys.argv[4]))) as listener:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0], context), daemon=True).start()


if __name__ == "__main__":
    main()

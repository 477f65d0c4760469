# SPDX-License-Identifier: Apache-2.0
"""HAProxy as docs/operations.md sets it up, on a machine of its own: a network namespace. The addresses are the page's, so
that nothing of its blocks is written anew."""
import csv
import grp
import os
import pwd
import re
import socket
import subprocess
from pathlib import Path

import page
from controllers import wait_for

BALANCER, ONE, TWO = "192.0.2.10", "192.0.2.11", "192.0.2.12"
CONFIG = Path("/etc/haproxy/haproxy.cfg")
INSIDE = ["nsenter", "--net=/run/netns/balancer"]


def block(language: str, text: str) -> str:
    """Of the page's, that with this text."""
    return next(one for one in page.blocks(language) if text in one)


def make_network() -> None:
    """A link to the balancer's machine. The name leads there from now on."""
    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)
    ip("netns", "add", "balancer")
    ip("link", "add", "name", "balancers", "type", "veth", "peer", "name", "eth0", "netns", "balancer")
    for address in (ONE, TWO):
        ip("addr", "add", f"{address}/24", "dev", "balancers")
    ip("-n", "balancer", "addr", "add", f"{BALANCER}/24", "dev", "eth0")
    for where, name in (([], "balancers"), (["-n", "balancer"], "eth0"), (["-n", "balancer"], "lo")):
        ip(*where, "link", "set", name, "up")
    hosts = Path("/etc/hosts")
    hosts.write_text(re.sub(rf"^127\.0\.0\.1 {re.escape(page.NAME)}\b", f"{BALANCER} {page.NAME}\n127.0.0.1", hosts.read_text(), flags=re.M))


class Haproxy:
    """Debian's configuration and these blocks behind it."""

    def __init__(self, *blocks: str):
        for folder, name in ((Path("/run/haproxy"), "haproxy"), (Path("/var/lib/haproxy"), "root")):
            folder.mkdir(exist_ok=True)  # the package's
            os.chown(folder, pwd.getpwnam(name).pw_uid, grp.getgrnam(name).gr_gid)
        self.original = CONFIG.read_text()
        CONFIG.write_text("\n".join([self.original, *blocks, ""]))
        self.process = subprocess.Popen([*INSIDE, "haproxy", "-db", "-f", str(CONFIG)])

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()
        CONFIG.write_text(self.original)

    def servers(self) -> dict[str, dict[str, str]]:
        """What it knows of each."""
        if self.process.poll() is not None:
            raise RuntimeError(f"HAProxy ended with {self.process.returncode}")
        with socket.socket(socket.AF_UNIX) as asking:
            try:
                asking.connect("/run/haproxy/admin.sock")
            except OSError:
                return {}
            asking.sendall(b"show stat\n")
            text = b"".join(iter(lambda: asking.recv(65536), b"")).decode()
        rows = csv.DictReader(text.removeprefix("# ").splitlines())
        return {row["svname"]: row for row in rows if row["pxname"] == "controllers" and row["svname"] != "BACKEND"}

    def wait_for_servers(self, *names: str) -> None:
        """By its own checks, the first of which is told apart from none."""
        def are_up() -> bool:
            servers = self.servers()
            return sorted(servers) == sorted(names) and all(row["status"] == "UP" and row["check_status"] for row in servers.values())
        wait_for(f"HAProxy sees {' and '.join(names)}", are_up, 30)

# SPDX-License-Identifier: Apache-2.0
"""charon beside an agent, with the configuration that the package has; and what it and the kernel hold."""
import json
import os
import re
import shutil
import tempfile

from product import REPO, Overlay
from topology import wait_until


class Charon:
    """charon on a host, its socket in a folder of its own. It ends by SIGKILL, as its unit ends it."""

    def __init__(self, host, options=""):
        self.host, self.process = host, None
        self.folder = tempfile.mkdtemp(prefix=f"charon-{host.name}-")
        self.socket = os.path.join(self.folder, "charon.vici")
        self.config = os.path.join(self.folder, "strongswan.conf")
        with open(f"{REPO}/debian/etc/charon.conf", encoding="utf-8") as file:
            shipped = file.read()
        assert "unix:///run/cvlan/charon.vici" in shipped
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(shipped.replace("/run/cvlan/charon.vici", self.socket) + options
                       + "charon-systemd { filelog { f { path = " + self.folder + "/log\n append = yes\n flush_line = yes } } }\n")

    @property
    def toml(self):
        """What the agent beside it is configured with."""
        return f'charon_socket = "{self.socket}"\n'

    def start(self):
        have_the_kernel_know_aes(self.host)
        self.process = self.host.popen("/usr/bin/env", f"STRONGSWAN_CONF={self.config}", "charon-systemd", name="charon")
        wait_until(lambda: self.swanctl("--stats"), 20, f"charon on {self.host.name} answers")
        return self

    def kill(self):
        self.process.kill()

    def log(self):
        with open(f"{self.folder}/log", encoding="utf-8") as file:
            return file.read()

    def swanctl(self, *words):
        return self.host.run("swanctl", *words, "--uri", f"unix://{self.socket}").stdout

    def child_spis(self):
        """Of the CHILD_SAs that charon knows, both ways."""
        return set(re.findall(r"spi-(?:in|out)=([0-9a-f]{8})", self.swanctl("--list-sas", "--raw")))


def have_the_kernel_know_aes(host):
    """An emulated kernel takes up to a minute, under load, to load and test an algorithm that it has not had yet."""
    place = "src", "192.0.2.1", "dst", "192.0.2.2", "proto", "esp", "spi", "0x100"
    host.ip("xfrm", "state", "add", *place, "mode", "tunnel", "aead", "rfc4106(gcm(aes))", "0x" + "11" * 36, 128)
    host.ip("xfrm", "state", "delete", *place)


def kernel_spis(host):
    """Of the kernel's SAs, without those that it only asks for."""
    found = set()
    for block in re.split(r"\n(?=src )", host.run("ip", "xfrm", "state").stdout):
        spi = re.search(r"spi 0x([0-9a-f]{8})", block)
        if spi and ("aead" in block or "enc " in block):
            found.add(spi[1])
    return found


def devices(agent, kind):
    return [link["ifname"] for link in agent.host.ip_json("link", "show") if link["ifname"].startswith(kind)]


def routes(host, family=4):
    """What the tables of the networks' own have, and not the kernel's."""
    return host.run("ip", f"-{family}", "route", "show", "table", "all", "proto", "202").stdout


class Mesh(Overlay):
    """Nodes with a charon each, in a network over IPsec."""

    def __init__(self, *names, data_plane="ipsec", extra="", host=None, **more):
        """`host` makes a node's host of the mesh and its name; without it they are all on `lan`."""
        self.charons, self.extra = {}, extra
        super().__init__(**more)
        try:
            for name in names:
                self.join(name, host(self, name) if host else self.net.host(name, self.lan))
            self.wait_until_all_know_all()
            self.switch_to(data_plane)
        except BaseException:
            self.net.print_logs()
            self.net.close()
            raise

    def __exit__(self, kind, *rest):
        out = os.environ.get("CVLAN_LAB_OUT")
        for charon in self.charons.values():
            if out:
                os.makedirs(f"{out}/charon", exist_ok=True)
                shutil.copy(f"{charon.folder}/log", f"{out}/charon/{os.path.basename(charon.folder)}.log")
        super().__exit__(kind, *rest)

    def join(self, name, host, **more):
        self.charons[name] = Charon(host).start()
        return self.add(name, host=host, extra=self.charons[name].toml + self.extra, **more)

    def switch_to(self, data_plane):
        """Ends when the old device is gone everywhere: a while after the last peer has left it (daemons/agent/moves.h)."""
        self.change("--data-plane", data_plane.upper())
        kind = "cx-" if data_plane == "ipsec" else "cv-"
        for agent in self.agents.values():
            wait_until(lambda: devices(agent, "c") == devices(agent, kind) != [], 60, f"{agent.name} is over {data_plane}")

    def change(self, *words):
        self.controller.ctl("network", "update", "net", "--tenant", "acme", *words)

    def tunnels(self, of):
        """What `cvlanctl ipsec list` says on a node, by peer."""
        return {one["peer"]: one for one in json.loads(self.agents[of].ctl("ipsec", "list", "-o", "json").stdout)["tunnels"]}

    def peer_of(self, a, b):
        return next(peer for peer in self.agents[a].look()["peers"] if peer["name"] == b)

# SPDX-License-Identifier: Apache-2.0
"""CloudVLAN's programs in a topology: Controller, Agent, and Overlay, which is a controller with its nodes.

Only the shipped command lines are used, as separate processes: no scenario writes a key, a map or a peer.
"""
import contextlib
import functools
import glob
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import time

from topology import EMULATED, PATIENCE, Topology, wait_until

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAMS = ("cvlan-controller", "cvlan-agent", "cvlan-relay", "cvlan-vrouter", "cvlanctl")
REPAIR_SECONDS = 5  # what is promised for every repair and every removal of a peer
UNSEEN = 1.0 if EMULATED else 0.2  # between the change and the clock's start, and for an emulated machine's jitter


@functools.cache
def bin_dir():
    """Where the programs are: $CVLAN_BIN, else the release build, else the dev build."""
    places = [os.environ["CVLAN_BIN"]] if "CVLAN_BIN" in os.environ else [f"{REPO}/build/{kind}/bin" for kind in ("release", "dev")]
    for place in places:
        if all(os.access(os.path.join(place, program), os.X_OK) for program in PROGRAMS):
            return place
    raise RuntimeError(f"no {', '.join(PROGRAMS)} in {' or '.join(places)}: build them first")


def program(name):
    return os.path.join(bin_dir(), name)


def bracketed(address):
    return f"[{address}]" if ":" in address else address


class Controller:
    """cvlan-controller on a host. `address` is its server name and, without `listen`, where it listens."""

    def __init__(self, host, address=None, state_dir=None, port=8443, listen=None):
        self.host, self.address, self.port = host, address or host.ipv4, port
        self.folder = state_dir or tempfile.mkdtemp(prefix="ctl-")
        self.config = os.path.join(self.folder, "controller.toml")
        self.admin_socket = os.path.join(self.folder, "admin.sock")
        self.process = None
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f'state_dir = "{self.folder}/state"\nadmin_socket = "{self.admin_socket}"\n'
                       f'[listen]\napi = "{bracketed(listen or self.address)}:{self.port}"\n'
                       '[limits]\nfailed_enrolments_per_minute = 1000\n')
        self.setup()

    def setup(self):
        return self.host.run(program("cvlan-controller"), "setup", "--config", self.config, "--server-name", self.address)

    def start(self):
        self.process = self.host.popen(program("cvlan-controller"), "--config", self.config, name="controller")
        wait_until(self._is_ready, 20, "the controller is ready")
        return self

    def _is_ready(self):
        assert self.process.is_running(), f"controller ended: {self.process.log()[-2000:]}"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(2)
            connection.connect(self.admin_socket)
            connection.sendall(b"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(64).startswith((b"HTTP/1.1 200", b"HTTP/1.1 204"))

    def kill(self):
        self.process.kill()

    def restart(self):
        self.kill()
        return self.start()

    def ctl(self, *words, check=True, **more):
        """cvlanctl on the admin socket."""
        return self.host.run(program("cvlanctl"), "--server", f"unix:{self.admin_socket}", *words, check=check, **more)

    def ctl_json(self, *words):
        return json.loads(self.ctl(*words, "-o", "json").stdout)

    def token(self, tenant="acme", network="net", uses=1, **options):
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        return self.ctl("token", "create", "--tenant", tenant, "--network", network, "--uses", uses, *words).stdout.strip()

    def nodes(self, tenant="acme"):
        return self.ctl_json("node", "list", "--tenant", tenant)["nodes"]


class OwnPages:
    """What a daemon shows of itself on its host's loopback."""

    METRICS = "127.0.0.1", 9464

    def get(self, path):
        """(status, body)"""
        connection = http.client.HTTPConnection(*self.METRICS, timeout=10 * PATIENCE)
        with self.host.inside(), contextlib.closing(connection):
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def metric(self, name):
        """By its name, and labels as they are written: name{label="value"}."""
        return float(next(line.split()[-1] for line in self.get("/metrics")[1].splitlines() if line.startswith(name + " ")))


class Agent(OwnPages):
    """cvlan-agent on a host. Its state directory outlives a reboot of the host."""

    PROGRAM = "cvlan-agent"

    def __init__(self, host, advertise=(), extra=""):
        self.host, self.process = host, None
        self.folder = tempfile.mkdtemp(prefix=f"agent-{host.name}-")
        self.config = os.path.join(self.folder, "agent.toml")
        self.socket = os.path.join(self.folder, "agent.sock")
        self.state_dir = os.path.join(self.folder, "state")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f'state_dir = "{self.state_dir}"\nsocket = "{self.socket}"\nmetrics = "{":".join(map(str, self.METRICS))}"\n{extra}')
            if advertise:
                file.write(f"advertise_endpoints = {json.dumps(list(advertise))}\n")

    @property
    def name(self):
        return self.host.name

    def start(self):
        self.launch()
        wait_until(self.answers, 15, f"the agent on {self.name} answers")
        return self

    def launch(self):
        self.process = self.host.popen(program(self.PROGRAM), "--config", self.config, name=self.PROGRAM.removeprefix("cvlan-"))

    def answers(self):
        assert self.process.is_running(), f"agent on {self.name} ended: {self.process.log()[-2000:]}"
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(self.socket)
        return True

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.kill()

    def suspend(self, with_link=True):
        """What a suspended machine looks like to its peers: nothing runs, no link is up. That its clocks go on is another matter."""
        self.process.popen.send_signal(signal.SIGSTOP)
        if with_link:
            self.host.unplug()

    def resume(self, with_link=True):
        if with_link:
            self.host.plug()
        self.process.popen.send_signal(signal.SIGCONT)

    def reboot(self):
        """The machine goes off and on; what is left is its state directory. The agent is not started."""
        self.host.reboot()
        if os.path.exists(self.socket):
            os.unlink(self.socket)

    def ctl(self, *words, check=True, **more):
        """cvlanctl on the agent's socket, in its host."""
        return self.host.run(*self.ctl_words(*words), check=check, **more)

    def ctl_words(self, *words):
        return program("cvlanctl"), "--socket", self.socket, *words

    def look(self):
        """status() asked by this process: the start of cvlanctl takes longer under emulation than what is timed."""
        connection = http.client.HTTPConnection("localhost", timeout=10 * PATIENCE)
        connection.sock = socket.socket(socket.AF_UNIX)
        with contextlib.closing(connection):
            connection.sock.connect(self.socket)
            connection.request("GET", "/local/v1/status")
            return json.loads(connection.getresponse().read())

    def up(self, token=None, check=True, wait=60, name=None):
        """Names itself as the host is named here; all hosts of the lab have one host name."""
        words = ["--wait", f"{wait}s", "--name", name or self.name]
        if token is None:
            return self.ctl("up", *words, check=check, timeout=wait + 30)
        return self.ctl("up", "--token-file", "-", *words, check=check, timeout=wait + 30, input=token)

    def status(self):
        done = self.ctl("status", "-o", "json", check=False)
        return json.loads(done.stdout)

    def state(self):
        return self.status()["self"]["state"]

    def own(self):
        return self.status()["self"]

    def addresses(self, network=None):
        own = self.own()
        if network is None:
            return own["addresses"]
        return next(one for one in own["networks"] if one["name"] == network)["addresses"]

    def peer(self, name):
        """The status of a peer, or None."""
        return next((peer for peer in self.status()["peers"] if peer["name"] == name), None)

    def netcheck(self):
        return json.loads(self.ctl("netcheck", "-o", "json").stdout)

    def plan(self):
        return json.loads(self.ctl("plan", "-o", "json").stdout)["steps"]

    def wait_until_converged(self, timeout=20, hard=False):
        wait_until(lambda: self.plan() == [], timeout, f"{self.name} has an empty plan", hard)

    # The kernel as others see it, by wg and ip.

    def devices(self):
        """Names of our WireGuard devices on this host."""
        return [name for name in self.host.run("wg", "show", "interfaces").stdout.split() if name.startswith("cv-")]

    @property
    def device(self):
        names = self.devices()
        assert len(names) == 1, f"{self.name} has {names}"
        return names[0]

    def wireguard(self, device=None):
        """{public key: (endpoint, allowed ips, latest handshake, rx, tx)} of a device."""
        lines = self.host.run("wg", "show", device or self.device, "dump").stdout.splitlines()[1:]
        fields = [line.split("\t") for line in lines]
        return {one[0]: (one[2], one[3], int(one[4]), int(one[5]), int(one[6])) for one in fields}

    def public_key(self, device=None):
        return self.host.run("wg", "show", device or self.device, "public-key").stdout.strip()

    def ping(self, other, count=1, check=True, timeout=10, family=None):
        """Through the overlay, until the first answer; then count more."""
        for address in other.addresses():
            if family and (":" in address) != (family == 6):
                continue
            if check:
                wait_until(lambda: self.host.ping(address, timeout=2, check=False), timeout, f"{self.name} pings {other.name} {address}")
                if count > 1:
                    self.host.ping(address, count=count)
            elif not self.host.ping(address, timeout=2, check=False):
                return False
        return True


class Tenant:
    """A tenant's namespace on a vrouter's machine. It has the name that the vrouter gives it, so the lab has one vrouter a tenant."""

    def __init__(self, vrouter, tenant_id):
        self.vrouter, self.namespace = vrouter, f"cvlan-{tenant_id}"

    def run(self, *command, check=True):
        return self.vrouter.host.run("ip", "netns", "exec", self.namespace, *command, check=check)

    def popen(self, *command, name):
        return self.vrouter.host.popen("ip", "netns", "exec", self.namespace, *command, name=name)

    def takes(self, segment, address):
        """The machine's leg on a segment is the tenant's from now on, as an administrator gives it."""
        self.vrouter.host.ip("link", "set", segment.name, "netns", self.namespace)
        self.run("ip", "address", "replace", address, "dev", segment.name)
        self.run("ip", "link", "set", segment.name, "up")

    def devices(self):
        return [one["ifname"] for one in json.loads(self.run("ip", "-j", "link", "show").stdout) if one["ifname"].startswith("cv-")]


class Vrouter(Agent):
    """cvlan-vrouter on a host."""

    PROGRAM = "cvlan-vrouter"

    def tenants(self):
        """By their ids, as they were enrolled."""
        return [Tenant(self, os.path.basename(path)) for path in sorted(glob.glob(f"{self.state_dir}/*-*"))]

    def teardown(self):
        self.stop()
        return self.host.run(program(self.PROGRAM), "--config", self.config, "--teardown")


def identity(state_dir, tenant_id="*"):
    """What an agent or a relay keeps of a tenant, or of its one: certificate, tlsKey, trustBundle and so on."""
    path, = glob.glob(f"{state_dir}/{tenant_id}/identity.json")
    with open(path, encoding="utf-8") as file:
        file.readline()  # format and checksum
        return json.load(file)


class Relay(OwnPages):
    """cvlan-relay on a host with a public address, under the name of its host: enrolled, and known to the tenant as an object."""

    def __init__(self, host, controller, tenant="acme", port=443, stun_port=3478):
        self.host, self.controller, self.tenant, self.process = host, controller, tenant, None
        self.port, self.stun_port = port, stun_port
        self.folder = tempfile.mkdtemp(prefix=f"relay-{host.name}-")
        self.state_dir = os.path.join(self.folder, "state")
        self.config = os.path.join(self.folder, "relay.toml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f'state_dir = "{self.state_dir}"\nmetrics = "{":".join(map(str, self.METRICS))}"\n')
        self.endpoints = [f"{bracketed(str(address))}:{port}" for family in (4, 6) for address in host.addresses(family)]
        self.serve(tenant)

    def serve(self, tenant):
        """It becomes a relay of that tenant too, once it is started (again)."""
        token = self.controller.ctl("token", "create", "--tenant", tenant, "--role", "relay").stdout
        self.host.run(program("cvlan-relay"), "--config", self.config, "enrol", "--token-file", "-", "--name", self.host.name, input=token)
        self.controller.ctl("relay", "create", self.host.name, "--tenant", tenant, "--node", self.host.name, "--endpoints", ",".join(self.endpoints),
                            "--stun-port", self.stun_port)

    def start(self):
        self.process = self.host.popen(program("cvlan-relay"), "--config", self.config, name="relay")
        wait_until(self.is_ready, 20, f"{self.host.name} is ready")
        return self

    def is_ready(self):
        assert self.process.is_running(), f"{self.host.name} ended: {self.process.log()[-2000:]}"
        return self.get("/ready")[0] == 200

    def stop(self):
        return self.process.stop()

    def kill(self):
        self.process.kill()

    def forget_pairs(self):
        """Its kernel forwards nothing any more."""
        self.host.run("nft", "delete", "table", "inet", "cvlan_relay")

    def pause(self):
        """Its machine takes connections and packets, and nothing comes of them."""
        self.process.popen.send_signal(signal.SIGSTOP)
        self.host.run("nft", "-f", "-", input="table inet deaf { chain forward { type filter hook forward priority -10; policy drop; }; }")

    def go_on(self):
        self.host.run("nft", "delete", "table", "inet", "deaf")
        self.process.popen.send_signal(signal.SIGCONT)

    def replace_by_rogue(self, tenant_id, victim, seed):
        """rogue.py in its place, with its certificate in that tenant."""
        own, files = identity(self.state_dir, tenant_id), []
        for what in ("certificate", "tlsKey"):
            files.append(os.path.join(self.folder, what))
            with open(files[-1], "w", encoding="ascii", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(own[what])
        return self.host.popen("/usr/bin/python3", "-S", "-u", f"{REPO}/integration/rogue.py", *files, self.host.ipv4, self.port, self.stun_port,
                               victim, seed, name="rogue")

    def pairs(self):
        """How many pairs this relay's kernel forwards for, as nft tells them: two elements each."""
        tables = json.loads(self.host.run("nft", "-j", "list", "table", "inet", "cvlan_relay").stdout)["nftables"]
        return sum(len(one["map"].get("elem", [])) for one in tables if "map" in one) // 2


class Overlay:
    """A controller, the tenant `acme` with the network `net`, and nodes named as the hosts given.

        with Overlay("a", "b") as overlay: overlay.a.ping(overlay.b)

    With `name` the controller goes by it: where that leads is the scenario's business (Cover).
    """

    def __init__(self, *names, ipv4="203.0.113.0/24", ipv6="2001:db8:1::/64", overlay4="10.100.0.0/24", overlay6="auto",
                 topology=None, name=None):
        self.net = topology or Topology()
        self.agents, self.token = {}, None
        try:
            self.lan = self.net.switch("lan", ipv4=ipv4, ipv6=ipv6)
            server = self.net.host("server", self.lan)
            self.controller = Controller(server, name or (server.ipv4 if ipv4 else server.ipv6), listen="::" if name else None).start()
            self.controller.ctl("tenant", "create", "acme")
            self.controller.ctl("network", "create", "net", "--tenant", "acme", "--ipv4", overlay4, "--ipv6", overlay6)
            for name in names:
                self.add(name)
            self.wait_until_all_know_all()
        except BaseException:
            self.net.print_logs()
            self.net.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            self.net.print_logs()
            self.net.keep_logs()
        self.net.close()

    def __getattr__(self, name):
        try:
            return self.__dict__["agents"][name]
        except KeyError as error:
            raise AttributeError(name) from error

    def add(self, name, host=None, advertise=(), token=None, extra="", wait_up=True):
        """A further node: host, agent, token, up."""
        agent = Agent(host or self.net.host(name, self.lan), advertise, extra)
        self.agents[name] = agent
        agent.start()
        if wait_up:
            if token is None:  # one token for all, for the sake of time
                self.token = token = self.token or self.controller.token(uses=100)
            agent.up(token, name=name)
        return agent

    def wait_until_all_know_all(self, timeout=20):
        def claim():
            for name, agent in self.agents.items():
                known = {peer["name"] for peer in agent.status()["peers"]}
                assert known >= self.agents.keys() - {name}, f"{name} knows {known}"
            return True
        wait_until(claim, timeout, "all know all")

    def node(self, name):
        return next(node for node in self.controller.nodes() if node["name"] == name)


class FloodPing:
    """`ping -f` from a host until stopped, counted to the last packet: each burst ends by its count, not by a signal."""

    BURST = 200

    def __init__(self, host, address):
        self.host = host
        self.stop_file = tempfile.mktemp(prefix="flood-")
        self.process = host.popen("/bin/sh", "-c", f"while [ ! -e {self.stop_file} ]; do "
                                  f"ping -n -q -f -c {self.BURST} -W 5 {address}; done", name=f"flood-{time.monotonic_ns()}")

    def stop(self):
        """(sent, lost) of all bursts."""
        with open(self.stop_file, "w", encoding="utf-8"):
            pass
        self.process.popen.wait(60 * PATIENCE)
        os.unlink(self.stop_file)
        counts = re.findall(r"(\d+) packets transmitted, (\d+) received", self.process.log())
        assert counts, self.process.log()
        return sum(int(sent) for sent, _ in counts), sum(int(sent) - int(answered) for sent, answered in counts)


class Foreign:
    """Things on a host which are not ours, and their text as `ip` and `wg` print it, to the byte."""

    def __init__(self, host):
        self.host = host
        host.ip("link", "add", "dummy7", "type", "dummy")
        host.ip("addr", "add", "198.51.100.7/24", "dev", "dummy7")
        host.ip("link", "set", "dummy7", "up")
        host.ip("route", "add", "198.51.101.0/24", "via", "198.51.100.1", "table", "777", "proto", "static")
        host.ip("route", "add", "198.51.102.0/24", "dev", "dummy7")
        host.ip("rule", "add", "from", "198.51.100.0/24", "lookup", "777", "priority", "300")
        host.ip("-6", "rule", "add", "from", "2001:db8:77::/64", "lookup", "777", "priority", "5300")
        host.ip("link", "add", "wg7", "type", "wireguard")
        key, peer = (subprocess.run(["wg", "genkey"], check=True, capture_output=True, text=True).stdout for _ in range(2))
        public = subprocess.run(["wg", "pubkey"], input=peer, check=True, capture_output=True, text=True).stdout.strip()
        host.run("wg", "set", "wg7", "listen-port", 7777, "private-key", "/dev/stdin", "peer", public,
                 "allowed-ips", "198.51.103.0/24", "endpoint", "192.0.2.77:7777", input=key)
        host.ip("addr", "add", "198.51.104.1/24", "dev", "wg7")
        host.ip("link", "set", "wg7", "mtu", "1380", "up")
        wait_until(lambda: "tentative" not in host.ip("-6", "addr"), what="addresses are no longer tentative")
        self.before = self.text()

    def text(self):
        """Ours are left out by what marks them: device names cv-, protocol 202. So are the counters of devices."""
        parts = [self.host.run("wg", "show", "wg7", "dump").stdout]
        for device in ("dummy7", "wg7", "lan", "lo"):
            parts += [self.host.ip("-d", "addr", "show", "dev", device, check=False)]
        for family in ("-4", "-6"):
            for what in (("rule", "show"), ("route", "show", "table", "all")):
                lines = self.host.ip("-d", family, *what).splitlines()
                ours = re.compile(r"\b(proto 202|cv-\w+)\b")
                parts.append("\n".join(line for line in lines if not ours.search(line)))
        return re.sub(r"(valid|preferred)_lft \d+sec", r"\1_lft some", "\n".join(parts))

    def assert_untouched(self):
        assert self.text() == self.before

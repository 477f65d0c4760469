# SPDX-License-Identifier: Apache-2.0
"""Networks out of namespaces, so that a scenario reads as a topology and a claim.

    with Topology() as net:
        lan = net.switch("lan", ipv4="203.0.113.0/24", ipv6="2001:db8:1::/64")
        a, b = net.host("a", lan), net.host("b", lan)
        a.run("ping", "-c1", b.ipv4)

A host is a network namespace. All is plain `ip`, `tc` and `nft`; names are those which the scenario gives.
Whatever was started in a host is ended with it, by process id.
"""
import contextlib
import ctypes
import fcntl
import ipaddress
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

_libc = ctypes.CDLL(None, use_errno=True)
EMULATED = os.environ.get("CVLAN_LAB_KERNEL") == "qemu"
PATIENCE = 4 if EMULATED else 1


def wait_until(claim, timeout=10, what="", hard=False):
    """Polls until claim() is true and returns its value. The time is stretched under emulation, unless it is
    part of what is promised (hard). A claim that raises AssertionError or CalledProcessError is not yet true.
    Looking takes time too: it fails when a look that began after the time has found the claim untrue."""
    deadline = time.monotonic() + timeout * (1 if hard else PATIENCE)
    while True:
        began = time.monotonic()
        try:
            value = claim()
            if value:
                return value
            last = value
        except (AssertionError, subprocess.SubprocessError, LookupError, OSError, ValueError) as error:
            last = error
        if began > deadline:
            raise AssertionError(f"not within {timeout} s: {what or claim.__name__}; last: {last}")
        time.sleep(0.1)


def _ip_batch(lines, namespace=None):
    where = ["-n", namespace] if namespace else []
    done = subprocess.run(["ip", *where, "-batch", "-"], input="\n".join(lines) + "\n", text=True, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"ip {' '.join(where)}: {done.stderr.strip()} in:\n" + "\n".join(lines))


# Namespaces are entered and made by this thread, not by a program: under emulation the start of one costs more than
# all that it does, and what is started from inside a namespace needs no fork of this process, only a vfork.
CLONE_NEWNET, MS_BIND, MNT_DETACH, SIOCSIFFLAGS, IFF_UP = 0x40000000, 0x1000, 2, 0x8914, 1
_OWN_NET = "/proc/thread-self/ns/net"


def _must(failed, what):
    if failed:
        raise OSError(ctypes.get_errno(), what)


@contextlib.contextmanager
def _leaving():
    """Back to the namespace of before."""
    back = os.open(_OWN_NET, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield
    finally:
        _must(_libc.setns(back, CLONE_NEWNET), "setns back")
        os.close(back)


def _namespace(name):
    return f"/run/netns/{name}"


def _make_namespace(name):
    """As `ip netns add`, with lo up."""
    os.close(os.open(_namespace(name), os.O_RDONLY | os.O_CREAT | os.O_EXCL, 0o444))
    with _leaving():
        _must(_libc.unshare(CLONE_NEWNET), "unshare")
        _must(_libc.mount(_OWN_NET.encode(), _namespace(name).encode(), None, MS_BIND, None), f"mount {name}")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))


def _delete_namespace(name):
    _libc.umount2(_namespace(name).encode(), MNT_DETACH)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(_namespace(name))


class Cover:
    """Another text in the place of a file of the machine, such as /etc/hosts, for the lab alone."""

    def __init__(self, path, text=""):
        self.path, self.file = path, tempfile.mktemp(prefix="cover-")
        self.write(text)
        _must(_libc.mount(self.file.encode(), path.encode(), None, MS_BIND, None), f"mount over {path}")

    def write(self, text):
        with open(self.file, "w", encoding="ascii") as file:
            file.write(text)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        _libc.umount2(self.path.encode(), MNT_DETACH)


class Process:
    """A program in the background of a host, its output in a file."""

    def __init__(self, name, popen, log_path):
        self.name, self.popen, self.log_path = name, popen, log_path

    @property
    def pid(self):
        return self.popen.pid

    def is_running(self):
        return self.popen.poll() is None

    def stop(self, how=signal.SIGTERM, timeout=10):
        """Ends it and returns its exit status; a program that ignores SIGTERM fails the scenario."""
        if self.is_running():
            self.popen.send_signal(how)
        return self.popen.wait(timeout * PATIENCE)

    def kill(self):
        return self.stop(signal.SIGKILL)

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()


class Host:
    """A network namespace. `ipv4` and `ipv6` are its first addresses on the underlay."""

    forwards = False

    def __init__(self, topology, name):
        self.topology, self.name = topology, name
        self.links, self.routes, self.processes = [], [], []
        self._make()

    def __repr__(self):
        return self.name

    def _make(self):
        _make_namespace(self.name)
        if self.forwards:
            self.sysctl(**{"net.ipv4.ip_forward": 1, "net.ipv6.conf.all.forwarding": 1})

    @contextlib.contextmanager
    def inside(self):
        """This thread in this host: a socket that is made here, or a program that is started, is the host's."""
        with _leaving():
            fd = os.open(_namespace(self.name), os.O_RDONLY | os.O_CLOEXEC)
            _must(_libc.setns(fd, CLONE_NEWNET), f"setns {self.name}")
            os.close(fd)
            yield

    def sysctl(self, **values):
        with self.inside():
            for name, value in values.items():
                with open(f"/proc/sys/{name.replace('.', '/')}", "w", encoding="ascii") as file:
                    file.write(str(value))

    def run(self, *command, check=True, timeout=60, **more):
        """Runs a program to its end in this host; CompletedProcess with stdout and stderr as text."""
        with self.inside():
            done = subprocess.run([str(word) for word in command], text=True, timeout=timeout * PATIENCE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, **{"stdin": subprocess.DEVNULL, **more}
                                  if "input" not in more else more)
        if check and done.returncode:
            raise AssertionError(f"{self.name}: {' '.join(map(str, command))}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def popen(self, *command, name=None, **more):
        """Starts a program in this host; it is ended with the host."""
        name = name or os.path.basename(str(command[0]))
        path = os.path.join(self.topology.logs, f"{self.name}-{name}.log")
        with open(path, "ab") as log, self.inside():
            popen = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, **more)
        process = Process(name, popen, path)
        self.processes.append(process)
        return process

    def ip(self, *words, check=True):
        return self.run("ip", *words, check=check).stdout

    def ip_json(self, *words):
        return json.loads(self.ip("-j", "-d", *words) or "[]")

    def has_device(self, name):
        return not self.run("ip", "link", "show", "dev", name, check=False).returncode

    def addresses(self, family):
        """Underlay addresses, in the order in which the links were made."""
        found = []
        for link in self.links:
            found += [end.ip for end in link.ends[self] if end.version == family]
        return found

    @property
    def ipv4(self):
        return str(self.addresses(4)[0])

    @property
    def ipv6(self):
        return str(self.addresses(6)[0])

    def route(self, destination, via):
        """A route that stays over a reboot."""
        line = f"route replace {destination} via {via}"
        self.routes.append(line)
        _ip_batch([line], self.name)

    def renumber(self, segment, *addresses):
        """Other addresses on a segment, as from a DHCP server that lost its memory."""
        link = segment.link_of(self)
        gone, link.ends[self] = link.ends[self], [ipaddress.ip_interface(str(one)) for one in addresses]
        # With a device's last address its routes go too.
        _ip_batch([f"addr del {one} dev {segment.name}" for one in gone] +
                  [f"addr add {one} dev {segment.name}{' nodad' if one.version == 6 else ''}" for one in link.ends[self]] + self.routes,
                  self.name)

    def unplug(self):
        _ip_batch([f"link set dev {link.devices[self]} down" for link in self.links], self.name)

    def plug(self):
        """With the routes and the IPv6 addresses that the kernel took away."""
        _ip_batch([f"link set dev {link.devices[self]} up" for link in self.links] +
                  [f"addr replace {one} dev {link.devices[self]} nodad" for link in self.links for one in link.ends[self] if one.version == 6] +
                  self.routes, self.name)

    def ping(self, address, count=1, timeout=10, check=True, every=0.2):
        done = self.run("ping", "-n", "-q", "-c", count, "-i", every, "-W", timeout, "-w", timeout * count, address, check=False)
        if check and done.returncode:
            raise AssertionError(f"{self.name}: no answer from {address}: {done.stdout}{done.stderr}")
        return done.returncode == 0

    def listen_udp(self, port):
        """Holds a UDP port, as foreign software would."""
        process = self.popen("/usr/bin/python3", "-S", "-c", "import socket, sys, time\n"
                             "for family, any in ((socket.AF_INET6, '::'), (socket.AF_INET, '0.0.0.0')):\n"
                             "    s = socket.socket(family, socket.SOCK_DGRAM); globals()[any] = s\n"
                             "    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)\n"
                             f"    s.bind((any, {port}))\n"
                             "time.sleep(1e6)", name=f"udp{port}")
        wait_until(lambda: f":{port} " in self.run("ss", "-Hlun").stdout, what=f"{port} is held")
        return process

    def kill_all(self):
        for process in self.processes:
            if process.is_running():
                process.kill()
        self.processes = []

    def close(self):
        self.kill_all()
        for link in self.links:
            link.cut()
        _delete_namespace(self.name)

    def reboot(self):
        """Power off and on: every process, device, address and route is gone; files stay. The links come back."""
        self.close()
        self._make()
        for link in self.links:
            link.make()
        if self.routes:
            _ip_batch(self.routes, self.name)


class Router(Host):
    """A host that forwards."""

    forwards = True

    def block(self, *what):
        """Drops what is forwarded of these, in nft's words (`meta l4proto udp`, `tcp dport 443`); with none, all passes again."""
        rules = "\n".join(f"{one} drop" for one in what)
        self.run("nft", "-f", "-", input=f"""
            table inet wall
            delete table inet wall
            table inet wall {{
                chain forward {{
                    type filter hook forward priority -10;
                    {rules}
                }}
            }}""")


class Link:
    """A veth pair. `ends` are the addresses with prefix length a host: {a: ["192.0.2.1/30"], b: […]}; `devices`
    the device names; `bridge` where an end is a port of a bridge; `netem` words of tc-netem for both ends."""

    def __init__(self, ends, devices, bridge=None, netem=None, mtu=None):
        self.ends = {host: [ipaddress.ip_interface(str(one)) for one in addresses] for host, addresses in ends.items()}
        self.devices, self.bridge, self.netem, self.mtu = devices, bridge or {}, netem, mtu
        for host in ends:
            host.links.append(self)
        self.make()

    def make(self):
        one, other = self.devices
        made = [f"link add name {self.devices[one]} type veth peer name {self.devices[other]} netns {other.name}"]
        for host in (one, other):
            device, lines = self.devices[host], made if host is one else []
            if self.mtu:
                lines.append(f"link set dev {device} mtu {self.mtu}")
            if host in self.bridge:
                lines.append(f"link set dev {device} master {self.bridge[host]}")
            for address in self.ends[host]:
                lines.append(f"addr add {address} dev {device}{' nodad' if address.version == 6 else ''}")
            _ip_batch([*lines, f"link set dev {device} up"], host.name)
            if self.netem:
                host.run("tc", "qdisc", "add", "dev", device, "root", "netem", *self.netem.split())

    def cut(self):
        one = next(iter(self.devices))
        subprocess.run(["ip", "-n", one.name, "link", "del", self.devices[one]], check=False, stderr=subprocess.DEVNULL)


class Switch:
    """One segment for many hosts. Hosts get the lowest free address of each prefix, in the order they attach,
    on a device with the switch's name."""

    def __init__(self, topology, name, ipv4=None, ipv6=None, netem=None, mtu=None):
        self.name, self.netem, self.mtu, self.count = name, netem, mtu, 0
        self.prefixes = [ipaddress.ip_network(prefix) for prefix in (ipv4, ipv6) if prefix]
        self.bridge = topology.host(f"sw-{name}")
        _ip_batch(["link add br0 type bridge forward_delay 0 mcast_snooping 0", "link set br0 up"], self.bridge.name)

    def attach(self, host, families=(4, 6), addresses=None):
        """With the next address of each family, or those given."""
        self.count += 1
        if addresses is None:
            addresses = [f"{prefix[self.count]}/{prefix.prefixlen}" for prefix in self.prefixes if prefix.version in families]
        return Link({host: addresses, self.bridge: []}, {host: self.name, self.bridge: f"port{self.count}"},
                    bridge={self.bridge: "br0"}, netem=self.netem, mtu=self.mtu)

    def link_of(self, host):
        for link in host.links:
            if self.bridge in link.ends:
                return link
        raise LookupError(f"{host} is not on {self.name}")

    def address_of(self, host, family=4):
        return next(str(end.ip) for end in self.link_of(host).ends[host] if end.version == family)


class Topology:
    """Owns the hosts of one scenario and takes them down at its end. `logs` is the folder of their output."""

    def __init__(self, logs=None):
        self.hosts = []
        self.logs = str(logs or tempfile.mkdtemp(prefix="cvlan-"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def own(self, host):
        self.hosts.append(host)
        return host

    def host(self, name, *segments):
        host = self.own(Host(self, name))
        for segment in segments:
            segment.attach(host)
        return host

    def router(self, name, *segments):
        """A router on the segments; give it to hosts with default_route."""
        router = self.own(Router(self, name))
        for segment in segments:
            segment.attach(router)
        return router

    def switch(self, name, **more):
        return Switch(self, name, **more)

    def link(self, a, b, a_addresses, b_addresses, netem=None):
        return Link({a: a_addresses, b: b_addresses}, {a: f"to-{b.name}"[:15], b: f"to-{a.name}"[:15]}, netem=netem)

    def close(self):
        for host in self.hosts:
            host.kill_all()
        for host in self.hosts:
            _delete_namespace(host.name)
        self.hosts = []

    def print_logs(self, lines=60):
        for name in sorted(os.listdir(self.logs)):
            with open(os.path.join(self.logs, name), encoding="utf-8", errors="replace") as file:
                tail = file.readlines()[-lines:]
            print(f"--- {name}", *(line.rstrip("\n") for line in tail), sep="\n")

    def keep_logs(self):
        """Copies them to the folder that comes out of the lab, under the scenario's name."""
        name = os.environ.get("PYTEST_CURRENT_TEST", "scenario").split(" ")[0].rpartition("::")[2]
        kept = os.path.join(os.environ["CVLAN_LAB_OUT"], "logs", name)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(self.logs, kept)


def default_route(host, segment, router, family=4):
    host.route("default", segment.address_of(router, family))

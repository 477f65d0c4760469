#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The control plane under load, on this machine: a controller and cvlan-sim beside it, over loopback.

Run by `scripts/bench controlplane`, which builds the programs. What each figure is stands in docs/performance.md.
"""
import argparse
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import plots  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent.parent
PER_NETWORK = 100
TENANTS = 10
SETTLES = 3  # seconds that cvlan-sim waits with all sessions up before it acts (kSettles)
TICKS = os.sysconf("SC_CLK_TCK")

# key, what, how it must stand to its limit, the limit, the unit
TABLE = [
    ("enrol_per_s", "enrolments over full TLS, durable", ">=", 500, "/s"),
    ("enrol_p99_ms", "the same, p99", "<", 500, "ms"),
    ("ip_alloc_per_s", "address allocation in the store, 200 callers", ">=", 50_000, "/s"),
    ("audit_per_s", "audit events, durable", ">=", 50_000, "/s"),
    ("poll_rate", "polls on held connections", ">=", 3300, "/s"),
    ("poll_p99_ms", "the same, p99", "<", 10, "ms"),
    ("poll_cpu_pct", "the controller's CPU at that rate", "<", 50, "% of a core"),
    ("held_sessions", "held sessions", ">=", 10_000, ""),
    ("held_kib_per_session", "memory a held session", "<=", 24, "KiB"),
    ("delta_p50_ms", "change at the API to the delta at a held node, p50", "", None, "ms"),
    ("delta_p99_ms", "the same, p99", "<", 200, "ms"),
    ("delta_cpu_ms_1k", "CPU to make a delta, 1,000 nodes in a network", "<=", 1, "ms"),
    ("delta_cpu_ms_5k", "5,000 nodes", "<=", 1, "ms"),
    ("delta_cpu_ms_10k", "10,000 nodes", "<=", 1, "ms"),
    ("reconnect_s", "all nodes back after a restart of the controller", "<", 20, "s"),
]


class Missed(Exception):
    """A load that was not reached, or a program that failed."""


def quantile(values: list, q: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(q * (len(ordered) - 1)))] if ordered else 0.0


def spread_of(values: list) -> dict:
    return {"n": len(values), "median": quantile(values, 0.5), "p10": quantile(values, 0.1), "p90": quantile(values, 0.9)}


def rates(samples: list) -> list:
    """How many ended in each whole second but the first and the last."""
    seconds = [int(at) for at, _ in samples]
    counts = [seconds.count(s) for s in range(min(seconds) + 1, max(seconds))] if seconds else []
    return counts or [len(samples)]


def wait_for(what: str, condition, limit: float = 60.0):
    end = time.monotonic() + limit
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise Missed(f"{what}: not within {limit:.0f} s")


class Program:
    """A process with its CPU time and memory."""

    def __init__(self, command: list, **streams):
        self.process = subprocess.Popen([str(word) for word in command], **streams)

    def cpu(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def kib(self, field: str = "VmRSS") -> int:
        return int(re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{self.process.pid}/status").read_text())[1])

    def end(self, by: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(by)
        return self.process.wait(timeout=60)


class Postgres:
    """A server of the bench's own, on a unix socket in its folder, with fsync as it comes."""

    def __init__(self, folder: Path):
        self.folder, binaries = folder, Path("/usr/lib/postgresql/15/bin")
        folder.mkdir()
        user = {"user": "postgres", "group": "postgres", "extra_groups": []} if os.geteuid() == 0 else {}
        if user:
            shutil.chown(folder, "postgres", "postgres")
            for above in (folder.parent,):  # made 0700 by mkdtemp
                above.chmod(0o711)
        subprocess.run([binaries / "initdb", "-D", folder / "data", "-A", "trust", "-U", "cvlan", "-E", "UTF8", "--locale=C"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/", **user)
        with open(folder / "log", "wb") as log:
            self.program = Program([binaries / "postgres", "-D", folder / "data", "-k", folder, "-c", "listen_addresses="],
                                   stderr=log, stdout=log, cwd="/", **user)
        wait_for("PostgreSQL", lambda: subprocess.run([binaries / "pg_isready", "-h", folder], stdout=subprocess.DEVNULL, check=False).returncode == 0)
        for name in ("cvlan", "bench"):
            subprocess.run([binaries / "createdb", "-h", folder, "-U", "cvlan", name], check=True)

    def url(self, database: str) -> str:
        return f"postgres:///{database}?user=cvlan&host={self.folder}"


class Controller:
    def __init__(self, bench: "Bench"):
        self.bench, self.program = bench, None
        work = bench.work
        self.config, self.socket = work / "controller.toml", work / "admin.sock"
        self.config.write_text(
            f'state_dir = "{work}/controller"\nadmin_socket = "{self.socket}"\n[listen]\napi = "127.0.0.1:{bench.port}"\n'
            f'metrics = "127.0.0.1:{bench.port + 1}"\n[limits]\nconnections = 100000\nconnections_per_address = 100000\n'
            + (f'[database]\nurl = "{bench.postgres.url("cvlan")}"\n' if bench.postgres else ""))
        subprocess.run([bench.bin / "cvlan-controller", "setup", "--config", self.config, "--server-name", "127.0.0.1"],
                       check=True, stderr=subprocess.DEVNULL)

    def start(self) -> float:
        """Seconds until it serves."""
        began = time.monotonic()
        with open(self.bench.out / "controller.log", "ab") as log:
            self.program = Program([self.bench.bin / "cvlan-controller", "--config", self.config], stderr=log)
        wait_for("the controller", self.metrics)
        return time.monotonic() - began

    def metrics(self) -> dict:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.bench.port + 1}/metrics", timeout=30) as answer:
                text = answer.read().decode()
        except OSError:
            if self.program.process.poll() is not None:
                raise Missed(f"the controller ended: see {self.bench.out}/controller.log") from None
            return {}
        return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", text, re.M)}

    def sum_of(self, name: str) -> float:
        return sum(value for key, value in self.metrics().items() if key.split("{")[0] == name)


class Sim:
    """cvlan-sim; what it says of its progress is read as it comes."""

    def __init__(self, bench: "Bench", name: str, *options: str):
        self.name, self.samples = name, bench.out / f"{name}.json"
        self.lines: list = []  # (when, sessions)
        self.said: list = []
        command = [bench.bin / "cvlan-sim", "--state", bench.work / "nodes", "--samples", self.samples, "--within", "15m", *options]
        self.program = Program(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self) -> None:
        for line in self.program.process.stderr:
            now = time.monotonic()
            if found := re.search(r" (\d+) sessions", line):
                self.lines.append((now, int(found[1])))
            else:
                self.said.append(line)

    def sessions(self) -> int:
        return self.lines[-1][1] if self.lines else 0

    def wait_sessions(self, count: int, limit: float) -> float:
        def stand():
            if self.program.process.poll() is not None:
                raise Missed(f"{self.name}: cvlan-sim ended early: {''.join(self.said)}")
            return self.sessions() >= count
        wait_for(f"{self.name}: {count} sessions", stand, limit)
        return self.lines[-1][0]

    def wait(self) -> dict:
        """Until it ends by itself; its cost is read while it still is there."""
        while self.program.process.poll() is None:
            try:
                self.cost = self.program.cpu(), self.program.kib("VmHWM")
            except (OSError, TypeError):
                break
            time.sleep(0.2)  # its summary is shorter than what a pipe holds
        out = self.program.process.stdout.read()
        if not out:
            raise Missed(f"{self.name}: cvlan-sim ended with {self.program.process.wait()}: {''.join(self.said)}")
        summary = json.loads(out)
        if summary["failures"]:
            print(f"{self.name}: failures {summary['failures']}", file=sys.stderr)
        return summary

    def raw(self) -> dict:
        return json.loads(self.samples.read_text())


class Bench:
    def __init__(self, chosen: argparse.Namespace):
        self.nodes, self.seconds, self.bin = chosen.nodes, chosen.seconds, chosen.bin
        self.port = chosen.port
        self.out = chosen.out / f"controlplane-{chosen.store}"
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        # Not in the clone, which may lie where the server's user is not let in (/root); not in /tmp, which may be memory.
        self.work = Path(tempfile.mkdtemp(prefix="cvlan-bench-", dir="/var/tmp"))
        self.postgres = Postgres(self.work / "postgres") if chosen.store == "postgres" else None
        self.figures: dict = {}  # key -> value
        self.spreads: dict = {}  # key -> n, median, p10, p90
        self.costs: list = []    # phase, controller's CPU and memory, the simulation's
        self.plots: list = []
        self.missed: list = []
        self.per_network = min(PER_NETWORK, max(2, self.nodes // 4))
        self.networks = -(-self.nodes // self.per_network)

    def note(self, key: str, value: float, values: list | None = None) -> None:
        self.figures[key] = round(value, 4)
        self.spreads[key] = spread_of(values if values is not None else [value])

    def cost(self, phase: str, sim: Sim, cpu_before: float) -> None:
        controller = self.controller.program
        self.costs.append({"phase": phase, "controller_cpu_s": round(controller.cpu() - cpu_before, 2), "controller_kib": controller.kib(),
                           "controller_peak_kib": controller.kib("VmHWM"), "sim_cpu_s": sim.cost[0], "sim_peak_kib": sim.cost[1]})

    def provision(self) -> None:
        tenants = min(TENANTS, self.networks)
        subprocess.run([ROOT / "scripts/provision-bulk", "--socket", self.controller.socket, "--out", self.work / "tokens", "--tokens-only",
                        "--tenants", str(tenants), "--networks", str(-(-self.networks // tenants)), "--nodes", str(self.per_network)], check=True)
        self.tokens = sorted((self.work / "tokens").glob("*.token"))

    def with_tokens(self) -> list:
        return [word for token in self.tokens for word in ("--token-file", str(token))]

    def enrol(self) -> None:
        """A bare TLS connection first: what the same machine does of the cheapest kind."""
        first = min(64, self.nodes)
        knocks = max(200, self.nodes // 4)
        cpu = self.controller.program.cpu()
        knocking = Sim(self, "knock", "--count", str(first), "--knocks", str(knocks), "--enrol-only", *self.with_tokens())
        summary = knocking.wait()
        self.cost("connect", knocking, cpu)
        self.note("tls_connections_per_s", summary["knock"]["per_s"], rates(knocking.raw()["knock"]))
        if first == self.nodes:
            raise Missed("--nodes: at least 65 are needed")
        cpu = self.controller.program.cpu()
        enrolling = Sim(self, "enrol", "--count", str(self.nodes), "--enrol-only", *self.with_tokens())
        summary = enrolling.wait()
        self.cost("enrol", enrolling, cpu)
        if summary["refused"] or summary["enrol"]["n"] != self.nodes - first:
            self.missed.append(f"enrol: {summary['enrol']['n']} of {self.nodes - first} nodes")
        raw = enrolling.raw()["enrol"]
        self.note("enrol_per_s", summary["enrol"]["per_s"], rates(raw))
        self.note("enrol_p99_ms", summary["enrol"]["p99_ms"], [ms for _, ms in raw])
        self.plots.append(("enrol", "Enrolment, ms", [ms for _, ms in raw]))

    def hold(self) -> Sim:
        """Memory with and without the sessions, of a controller that has done nothing else."""
        self.controller.program.end()
        self.controller.start()
        before, cpu = self.controller.program.kib(), self.controller.program.cpu()
        sim = Sim(self, "hold", "--count", str(self.nodes), "--share-maps", "--for", "1h")
        sim.wait_sessions(self.nodes, 900)
        held = wait_for("held queries", lambda: self.controller.sum_of("cvlan_controller_polls_waiting") >= self.nodes and self.nodes, 60)
        after = self.controller.program.kib()
        sim.cost = sim.program.cpu(), sim.program.kib("VmHWM")
        self.cost("hold", sim, cpu)
        self.note("held_sessions", held)
        self.note("held_kib_per_session", (after - before) / held)
        return sim

    def reconnect(self, sim: Sim) -> None:
        told = time.monotonic()
        self.controller.program.end()
        up = self.controller.start()
        mark = len(sim.lines)
        wait_for("the loss", lambda: any(n < self.nodes for _, n in sim.lines[mark:]) or sim.sessions() < self.nodes, 30)
        back = sim.wait_sessions(self.nodes, 600)
        self.note("reconnect_s", back - told)
        self.note("restart_s", up)
        sim.cost = sim.program.cpu(), sim.program.kib("VmHWM")
        self.cost("reconnect", sim, 0)
        sim.program.process.send_signal(signal.SIGTERM)
        sim.wait()
        raw = sim.raw()["back"]
        self.spreads["reconnect_s"] = spread_of([ms / 1000 for _, ms in raw])
        self.plots.append(("reconnect", "A node's way back after a restart of the controller, ms", [ms for _, ms in raw]))

    def acting(self, name: str, *options: str) -> tuple:
        """A simulation that does something for so many seconds, and what the controller spent on it."""
        sim = Sim(self, name, "--count", str(self.nodes), "--share-maps", "--for", f"{self.seconds}s", *options)
        began = sim.wait_sessions(self.nodes, 900) + SETTLES
        time.sleep(max(0, began - time.monotonic()))
        cpu = self.controller.program.cpu()
        time.sleep(max(0, began + self.seconds - 1 - time.monotonic()))
        spent = self.controller.program.cpu() - cpu
        took = time.monotonic() - began
        summary = sim.wait()
        self.cost(name, sim, cpu)
        return sim, summary, 100 * spent / took

    def delta(self) -> None:
        sim, summary, busy = self.acting("delta", "--roams", "100")
        raw = [ms for _, ms in sim.raw()["delta"]]
        made = summary["report"]["n"] / summary["acted_s"]
        if made < 95:
            self.missed.append(f"delta: {made:.1f} of 100 changes/s")
        wanted = summary["report"]["n"] * (self.nodes // len(self.tokens) - 1)
        if len(raw) < 0.98 * wanted:
            self.missed.append(f"delta: {len(raw)} of {wanted} deliveries")
        self.note("delta_p50_ms", quantile(raw, 0.5), raw)
        self.note("delta_p99_ms", quantile(raw, 0.99), raw)
        self.note("delta_deliveries_per_s", len(raw) / summary["acted_s"])
        self.note("delta_controller_cpu_pct", busy)
        self.plots.append(("delta", "Change at the API to the delta at another node, ms", raw))

    def poll(self) -> None:
        sim, summary, busy = self.acting("poll", "--polls", "3400")
        raw = sim.raw()["poll"]
        self.note("poll_rate", summary["poll"]["n"] / summary["acted_s"], rates(raw))
        self.note("poll_p99_ms", summary["poll"]["p99_ms"], [ms for _, ms in raw])
        self.note("poll_cpu_pct", busy)
        self.plots.append(("poll", "Poll on a held connection, ms", [ms for _, ms in raw]))

    def in_process(self) -> None:
        """The parts that are measured without a network."""
        said = subprocess.run([self.bin / "bench_delta", self.out / "delta-cpu.json"], check=True, capture_output=True, text=True).stdout
        for size, found in json.loads(said.splitlines()[-1]).items():
            key = f"delta_cpu_ms_{size}"
            self.figures[key] = found["median_ms"]
            self.spreads[key] = {"n": found["n"], "median": found["median_ms"], "p10": found["p10_ms"], "p90": found["p90_ms"]}
            self.note(f"delta_share_us_{size}", found["share_us"])
            self.note(f"delta_bytes_{size}", found["bytes"])
        store = self.bin / "bench_store"
        if not store.exists():
            return
        address = self.postgres.url("bench") if self.postgres else self.work / "store.db"
        said = subprocess.run([store, "--store", address, "--json"], check=True, capture_output=True, text=True).stdout
        (self.out / "store.json").write_text(said)
        for key, found in json.loads(said.splitlines()[-1]).items():
            if isinstance(found, dict) and "raw" in found:
                self.note(key, found["median"], found["raw"])

    def run(self) -> None:
        self.controller = Controller(self)
        try:
            self.in_process()
            self.controller.start()
            self.provision()
            self.enrol()
            sim = self.hold()
            self.reconnect(sim)
            self.delta()
            self.poll()
        finally:
            if self.controller.program:
                self.controller.program.end(signal.SIGKILL)
            if self.postgres:
                self.postgres.program.end(signal.SIGINT)
            shutil.rmtree(self.work, ignore_errors=True)


def verdict(key: str, sign: str, limit: float | None, figures: dict) -> str:
    if key not in figures:
        return "not measured"
    if limit is None:
        return ""
    value = figures[key]
    return "reached" if {">=": value >= limit, "<": value < limit, "<=": value <= limit}[sign] else "missed"


def show(bench: Bench) -> bool:
    print("| what | n | figure | median (10th-90th percentile) | to reach | |\n|---|---|---|---|---|---|")
    good = True
    for key, what, sign, limit, unit in TABLE:
        said = verdict(key, sign, limit, bench.figures)
        good &= said in ("", "reached")
        found = bench.spreads.get(key)
        print(f"| {what} (`{key}`) | {found['n'] if found else 0} | {bench.figures.get(key, '-')} {unit} | "
              + (f"{found['median']:.3f} ({found['p10']:.3f}-{found['p90']:.3f})" if found else "-")
              + f" | {f'{sign} {limit:,}' if limit is not None else '-'} | {said} |")
    for key, value in bench.figures.items():
        if key not in [row[0] for row in TABLE]:
            print(f"{key}: {value}")
    for cost in bench.costs:
        print("cost: " + " ".join(f"{name}={value}" for name, value in cost.items()))
    for why in bench.missed:
        print(f"not reached: {why}")
    return good and not bench.missed


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench controlplane")
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--nodes", type=int, default=10_000)
    parser.add_argument("--seconds", type=int, default=30, help="of each load that is held")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object")
    parser.add_argument("--plots", type=Path, help="writes SVG plots there")
    parser.add_argument("--port", type=int, default=18443)
    parser.add_argument("--bin", type=Path, default=ROOT / "build/release/bin", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, default=ROOT / "build/bench", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if not 65 <= chosen.nodes <= 100_000:
        parser.error(f"argument --nodes: {chosen.nodes} is not from 65 to 100000")
    if not 2 <= chosen.seconds <= 3600:
        parser.error(f"argument --seconds: {chosen.seconds} is not from 2 to 3600")
    return chosen


def main() -> int:
    chosen = arguments()
    # Two connections a node and side; root may raise the hard limit too.
    wanted = 3 * chosen.nodes + 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), max(hard, wanted)))
    except (ValueError, PermissionError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    chosen.out.mkdir(parents=True, exist_ok=True)
    bench = Bench(chosen)
    try:
        bench.run()
    except (Missed, subprocess.CalledProcessError) as why:
        bench.missed.append(str(why))
    good = show(bench)
    result = {"nodes": bench.nodes, "store": chosen.store, **bench.figures, "spread": bench.spreads, "costs": bench.costs, "missed": bench.missed}
    (bench.out / "result.json").write_text(json.dumps(result, indent=1) + "\n")
    if chosen.plots:
        chosen.plots.mkdir(parents=True, exist_ok=True)
        for name, title, values in bench.plots:
            (chosen.plots / f"controlplane-{name}.svg").write_text(plots.distribution(title, values))
    if chosen.json:
        print(json.dumps(result))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

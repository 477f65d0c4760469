# SPDX-License-Identifier: Apache-2.0
"""Controllers and a PostgreSQL server of a scenario's own, on this machine, over loopback."""
import http.client
import json
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(os.environ.get("CVLAN_BIN", ROOT / "build/release/bin"))
POSTGRES = Path("/usr/lib/postgresql/15/bin")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what: str, condition, seconds: float = 60.0):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if found := condition():
            return found
        time.sleep(0.02)
    raise RuntimeError(f"{what}: not within {seconds:.0f} s")


class Local(http.client.HTTPConnection):
    """HTTP on the administrator's socket."""

    def __init__(self, path: str):
        super().__init__("localhost", timeout=10)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Postgres:
    """A server on a unix socket alone, as a user that is not root."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="cvlan-postgres-"))
        user = {}
        if os.geteuid() == 0:
            owner = pwd.getpwnam("postgres")
            os.chown(self.folder, owner.pw_uid, owner.pw_gid)
            user = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        data = self.folder / "data"
        subprocess.run([POSTGRES / "initdb", "-D", data, "-A", "trust", "-U", "cvlan", "-E", "UTF8", "--locale=C", "--no-sync"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/", **user)
        self.url = f"postgres:///postgres?user=cvlan&host={self.folder}"
        with open(self.folder / "log", "wb") as log:
            self.process = subprocess.Popen([POSTGRES / "postgres", "-D", data, "-k", self.folder, "-c", "listen_addresses=", "-c", "fsync=off"],
                                            stderr=log, cwd="/", **user)
        while subprocess.run([POSTGRES / "pg_isready", "-q", "-h", self.folder], check=False).returncode != 0:
            if self.process.poll() is not None:
                raise RuntimeError(f"PostgreSQL ended: {(self.folder / 'log').read_text()}")
            time.sleep(0.05)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait()
        shutil.rmtree(self.folder)


class Controller:
    """Of one folder; those of several names there have their keys in common. `more` is further configuration."""

    def __init__(self, folder: Path, database: str = "", name: str = "controller", more: str = ""):
        self.folder, self.port, self.metrics_port = folder, free_port(), free_port()
        self.admin = str(folder / f"{name}.sock")
        self.config = folder / f"{name}.toml"
        self.config.write_text(f'state_dir = "{folder}/state"\nadmin_socket = "{self.admin}"\n[listen]\napi = "127.0.0.1:{self.port}"\n'
                               f'metrics = "127.0.0.1:{self.metrics_port}"\n'
                               '[limits]\nfailed_enrolments_per_minute = 100000\nconnections = 100000\nconnections_per_address = 100000\n'
                               f'[database]\nurl = "{database}"\n{more}')
        self.log_path = folder / f"{name}.log"
        self.log = open(self.log_path, "ab")
        self.process = None
        subprocess.run([BIN / "cvlan-controller", "setup", "--config", self.config, "--server-name", "127.0.0.1"],
                       check=True, stderr=self.log)

    def start(self) -> None:
        self.process = subprocess.Popen([BIN / "cvlan-controller", "--config", self.config], stderr=self.log)
        until = time.monotonic() + 30
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"the controller ended with {self.process.returncode}: {self.tail()}")
            try:
                if self.ask("GET", "/ready")[0] == 200:
                    self.metric("cvlan_controller_build_info")  # listens last
                    return
            except OSError:
                pass
            if time.monotonic() > until:
                raise RuntimeError(f"the controller is not ready: {self.tail()}")
            time.sleep(0.01)

    def kill(self, by: int = signal.SIGKILL) -> int:
        self.process.send_signal(by)
        return self.process.wait()

    def tail(self) -> str:
        return self.log_path.read_text(errors="replace")[-2000:]

    def metric(self, name: str) -> float:
        """The sum over its labels."""
        connection = http.client.HTTPConnection("127.0.0.1", self.metrics_port, timeout=10)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))

    def wait_for_log(self, text: str, seconds: float = 30) -> None:
        wait_for(text, lambda: text in self.log_path.read_text(errors="replace"), seconds)

    @staticmethod
    def _exchange(connection, method: str, path: str, body, key: str = "") -> tuple[int, dict]:
        try:
            headers = {"Content-Type": "application/json"} | ({"Idempotency-Key": key} if key else {})
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text else {}
        except (http.client.HTTPException, ValueError) as cut:
            raise ConnectionError(str(cut)) from cut
        finally:
            connection.close()

    def ask(self, method: str, path: str, body=None, key: str = "") -> tuple[int, dict]:
        return self._exchange(Local(self.admin), method, path, body, key)

    def enrol(self, body: dict) -> tuple[int, dict]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # what a node checks is tested elsewhere
        return self._exchange(http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context),
                              "POST", "/api/v1/enrol", body)

    def all(self, noun: str) -> list[dict]:
        found, token = [], ""
        while True:
            status, page = self.ask("GET", f"/api/v1/{noun}?pageSize=1000&pageToken={token}")
            assert status == 200, (status, page)
            found += page[noun]
            token = page["nextPageToken"]
            if not token:
                return found

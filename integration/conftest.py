# SPDX-License-Identifier: Apache-2.0
"""One pytest session a boot of the lab. Without a kernel that makes WireGuard devices the session fails: a
scenario never passes, and never skips, for want of a kernel. What ran is written to $CVLAN_LAB_OUT/scenarios.json."""
import json
import os
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from pulse import Pulse  # noqa: E402
from topology import Topology  # noqa: E402

_outcomes = {}  # name of a scenario -> passed, failed or skipped


def _name(nodeid):
    path, _, test = nodeid.partition("::")
    return f"{os.path.basename(path).removeprefix('test_').removesuffix('.py')}.{test.removeprefix('test_')}"


def _out(name):
    return os.path.join(os.environ["CVLAN_LAB_OUT"], name)


def pytest_sessionstart(session):
    if "CVLAN_LAB_KERNEL" not in os.environ:
        pytest.exit("scenarios change networks: run them by integration/lab (integration/scenarios/run)", 3)
    if os.path.exists(_out("scenarios.json")):
        os.unlink(_out("scenarios.json"))
    subprocess.run(["ip", "netns", "add", "probe"], check=True)
    made = subprocess.run(["ip", "-n", "probe", "link", "add", "wg-probe", "type", "wireguard"], capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", "probe"], check=True)
    if made.returncode:
        pytest.exit(f"REJECT: this kernel makes no WireGuard device: {made.stderr.strip()}", 3)


def pytest_runtest_logreport(report):
    name = _name(report.nodeid)
    if report.skipped:
        _outcomes[name] = "skipped"
    elif report.failed:
        _outcomes[name] = "failed"
    elif report.when == "call":
        _outcomes.setdefault(name, "passed")


def pytest_sessionfinish(session, exitstatus):
    names = sorted(_outcomes)
    summary = {
        "kernel": os.uname().release,
        "run": sum(_outcomes[name] != "skipped" for name in names),
        "names": [name for name in names if _outcomes[name] != "skipped"],
        "failed": [name for name in names if _outcomes[name] == "failed"],
        "skipped": [name for name in names if _outcomes[name] == "skipped"],
    }
    with open(_out("scenarios.json"), "w", encoding="utf-8") as file:
        json.dump(summary, file, indent=1)
        file.write("\n")


def pytest_terminal_summary(terminalreporter):
    run = [name for name, outcome in _outcomes.items() if outcome != "skipped"]
    terminalreporter.write_line(f"{len(run)} scenarios run on kernel {os.uname().release}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the logs of every process in a scenario that failed, and keeps them."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for value in getattr(item, "funcargs", {}).values():
        net = getattr(value, "net", value)
        if isinstance(net, Topology):
            net.print_logs()
            net.keep_logs()
            return


@pytest.fixture
def show(capsys):
    """Prints what is to be seen of a scenario that passes: a table that it measured."""
    def lines(*texts):
        with capsys.disabled():
            print("", *texts, sep="\n")
    return lines


@pytest.fixture(scope="module")
def pulse(world):
    """For a file that has a `world`, whose hosts the beats come from: it ends before that does."""
    with Pulse() as made:
        yield made


@pytest.fixture
def net(tmp_path):
    """An empty topology for one scenario."""
    logs = tmp_path / "logs"
    logs.mkdir()
    with Topology(logs) as topology:
        yield topology

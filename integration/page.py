# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/operations.md, as they stand there."""
import re
import subprocess
from pathlib import Path

DOC = Path(__file__).resolve().parent.parent / "docs/operations.md"
SERVER = "unix:/run/cvlan/controller.sock"
NAME = "controller.example.org"


def blocks(wanted: str = "") -> list[str]:
    """Those of this language; most have none."""
    found, language, lines = [], None, []
    for line in DOC.read_text().splitlines():
        if line.startswith("```"):
            if language == wanted:
                found.append("\n".join(lines))
            language, lines = (line[3:] if language is None else None), []
        elif language is not None:
            lines.append(line)
    return found


def cvlanctl(*words: str) -> str:
    return subprocess.run(["cvlanctl", "--server", SERVER, *words], check=True, capture_output=True, text=True).stdout


def do(block: str, folder: str, typed: str = "") -> bool:
    """Of what a reader fills in himself there is one thing, the network's id."""
    if "--network ID" in block:
        found = re.search(r'"id": *"([^"]+)"', cvlanctl("network", "list", "--tenant", "acme", "-o", "json"))
        block = block.replace("--network ID", f"--network {found[1]}")
    print(f"-- \n{block}", flush=True)
    return subprocess.run(["bash", "-euo", "pipefail", "-c", block], cwd=folder, input=typed, text=True, check=False).returncode == 0


def is_auditors_attempt_noted() -> bool:
    return "READ_ONLY" in cvlanctl("audit", "list", "--tenant", "acme", "-o", "json")

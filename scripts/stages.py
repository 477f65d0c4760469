# SPDX-License-Identifier: Apache-2.0
"""The stages of scripts/test: each ends in one line, ACCEPT or REJECT, with its counts and its time; then one
verdict. The same stands in build/test-results.json."""
import concurrent.futures
import glob
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
JOBS = str(os.cpu_count() or 2)
PROGRAMS = ["cvlan-controller", "cvlan-agent", "cvlan-relay", "cvlan-vrouter", "cvlanctl"]
LINES_AT_LEAST, PARSER_LINES_AT_LEAST = 85.0, 95.0
# Files that read bytes from outside.
PARSERS = ("netlink/attr_reader", "netlink/nft_parse", "vici/message", "vici/frame", "kernel-wg/parse", "xfrm/parse", "xfrm/event", "xfrm/wire", "xfrm/statistics", "http/head_scan", "http/request_reader", "http/response_reader", "model/json.cc", "model/network_map.cc",
           "model/token_claims", "pki/token", "base/ip.cc", "base/bytes.cc", "api/query.cc", "relay/frame", "relay/websocket")
# Presets and the package share what they compile alike.
os.environ |= {"CCACHE_BASEDIR": str(ROOT), "CCACHE_NOHASHDIR": "1"}
# Code that runs on more than one thread; everything else lives on one loop.
THREADED = ["base_test", "http_test", "store_test", "api_test", "daemons_controller_test"]
SANITIZED = {"ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1", "UBSAN_OPTIONS": "print_stacktrace=1"}
FUZZ_SECONDS = int(os.environ.get("CVLAN_FUZZ_SECONDS", "30"))


# Of what a failed program said, the lines that name what failed: a test, a compiler's or a linter's finding.
TELLING = re.compile(r"\[  FAILED  \] \S+ \(|: (?:Failure|error:|fatal error:)|^FAILED |^lint: .*: BAD|: BAD$")


class Reject(Exception):
    """The stage's claim does not hold; the text says why."""


def telling(lines: list[str]) -> str:
    named = list(dict.fromkeys(line.strip()[:160] for line in lines if TELLING.search(line)))
    return "".join(f"\n    {line}" for line in named[:12])


def run(*command: str, env: dict | None = None, quiet: bool = False) -> str:
    """Runs a command with its output live (or, if quiet, only when it fails); Reject if it fails."""
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, errors="replace")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if not quiet:
            sys.stdout.write(line)
    if process.wait() != 0:
        if quiet:
            sys.stdout.write("".join(lines[-80:]))
        raise Reject(f"`{' '.join(command)[:120]}` ended with {process.returncode}{telling(lines)}")
    return "".join(lines)


def build(preset: str, *targets: str) -> None:
    run("cmake", "--preset", preset, quiet=True)
    run("cmake", "--build", f"build/{preset}", "--parallel", JOBS, *(["--target", *targets] if targets else []), quiet=True)


def tests_of(preset: str, label: str, env: dict | None = None, only: str = "") -> str:
    junit = BUILD / f"{preset}-ctest.xml"
    try:
        said = run("ctest", "--test-dir", f"build/{preset}", "-L", label, *(["-R", only] if only else []), "--output-on-failure",
                   "--no-tests=error", "--parallel", str(2 * int(JOBS)), "--output-junit", str(junit), env=env)
    except Reject as why:
        failed = re.findall(r'<testcase name="([^"]+)"[^>]*status="(?:fail|notrun)"', junit.read_text()) if junit.exists() else []
        raise Reject(f"{why}: {', '.join(failed)}") from None
    count = re.search(r"tests? failed out of (\d+)", said)[1]
    return f"{count} runs in {re.search(r'Total Test time .real. = +([0-9.]+) sec', said)[1]} s"


def cases_in(preset: str) -> int:
    return sum(len(re.findall(r"^  \S", run(program, "--gtest_list_tests", quiet=True), re.M))
               for program in glob.glob(f"{BUILD}/{preset}/bin/*_test"))


def lint() -> str:
    run("cmake", "--preset", "checked", quiet=True)
    run("cmake", "--build", "build/checked", "--parallel", JOBS, "--target", "cvlan_model", quiet=True)
    return f"{run('scripts/lint', '--build', 'build/checked').count(': good')} checks"


def build_release() -> str:
    build("release", *PROGRAMS)
    run("scripts/check-hardening", *(f"build/release/bin/{program}" for program in PROGRAMS))
    return f"{len(PROGRAMS)} programs, hardened"


def place_counts() -> None:
    """Moves the counts of executed lines beside the objects they are of, where gcov looks for them."""
    for counts in (BUILD / "checked/counts").rglob("*.gcda"):
        # #proc#self#cwd#base#CMakeFiles#…: the path from the build folder, as tests/main.cc and Options.cmake have it.
        counts.rename(BUILD / "checked" / counts.name.removeprefix("#proc#self#cwd#").replace("#", "/"))


def coverage() -> str:
    place_counts()
    said = run("gcovr", "-r", ".", "build/checked", "--gcov-ignore-parse-errors", "-e", "tests/", "-e", "build/", "-e", ".*main\\.cc",
               "--json-summary", "build/coverage.json", "--txt", "build/coverage.txt", "--print-summary", "-j", JOBS)
    lines = float(re.search(r"lines: ([\d.]+)%", said)[1])
    files = json.loads((BUILD / "coverage.json").read_text())["files"]
    parsers = [f for f in files if any(p in f["filename"] for p in PARSERS) and f["line_total"]]
    covered, total = (sum(f[key] for f in parsers) for key in ("line_covered", "line_total"))
    parser_lines = 100.0 * covered / total
    for file in sorted(parsers, key=lambda f: f["line_percent"]):
        print(f"coverage: {file['filename']}: {file['line_percent']} % of {file['line_total']} lines")
    print(f"coverage: {lines} % of all lines, {parser_lines:.1f} % of the parsers' lines")
    if lines < LINES_AT_LEAST or parser_lines < PARSER_LINES_AT_LEAST:
        raise Reject(f"coverage {lines} % of lines (>= {LINES_AT_LEAST}), {parser_lines:.1f} % of parsers (>= {PARSER_LINES_AT_LEAST})")
    return f"{lines} % of lines, {parser_lines:.1f} % of parsers"


def unit() -> str:
    """Every unit test, under AddressSanitizer and UBSan, with the lines counted that they run."""
    build("checked")
    # Counts of an earlier run, or of sources that have changed since, would be added to these.
    for counts in (BUILD / "checked").rglob("*.gcda"):
        counts.unlink()
    return f"{tests_of('checked', 'unit|check', SANITIZED)}, {cases_in('checked')} tests, {coverage()}"


def threads() -> str:
    """What runs on more than one thread, under ThreadSanitizer."""
    build("tsan", *THREADED)
    only = "|".join(f"^unit.{name.removesuffix('_test')}[.]" for name in THREADED)
    return tests_of("tsan", "unit", {"TSAN_OPTIONS": "halt_on_error=1"}, only)


def kernel() -> str:
    tests = ROOT / "tests"
    names = sorted({"_".join(source.parent.relative_to(tests).parts) + "_kernel" for source in tests.rglob("*_kernel.cc")})
    build("release", *names)
    programs = [f"{BUILD}/release/bin/{name}" for name in names]
    script = "; ".join(f"echo '== {Path(p).name}'; {p} || failed=1" for p in programs)
    said = run("integration/lab", "--timeout", "1200", "--", "sh", "-c", f"failed=0; {script}; exit $failed")
    passed = sum(int(n) for n in re.findall(r"\[  PASSED  \] (\d+) tests?", said))
    if "[  SKIPPED ]" in said:
        raise Reject("a kernel test was skipped")
    return f"{len(programs)} programs, {passed} tests on a real kernel"


def integration(*names: str) -> str:
    build("release", *PROGRAMS)
    selected = ["-k", " or ".join(names)] if names else []
    run("integration/scenarios/run", *selected, env={"CVLAN_BIN": str(BUILD / "release/bin")})
    summary = json.loads((BUILD / "lab-out/scenarios.json").read_text())
    wanted = {line.split()[0] for line in (ROOT / "docs/scenarios.txt").read_text().splitlines() if line.strip() and not line.startswith("#")}
    missing = [] if names else sorted(wanted - set(summary["names"]))
    print(f"{summary['run']} passed, {len(summary['failed'])} failed, {len(summary['skipped'])} skipped")
    if summary["failed"] or summary["skipped"] or missing or not summary["run"]:
        raise Reject(f"failed {summary['failed']}, skipped {summary['skipped']}, listed in docs/scenarios.txt but not run {missing}")
    return f"{summary['run']} scenarios on kernel {summary['kernel']}"


def crash() -> str:
    """The controller killed under writes, and upgraded under a thousand nodes and put back; when it is asked for alone, it is killed often, and one of
    two stands still for longer than a lease."""
    build("release", "cvlan-controller", "cvlanctl", "cvlan-sim")
    is_long = sys.argv[1:] == ["crash"]
    programs = {"CVLAN_BIN": str(BUILD / "release/bin")}
    said = "".join(run("integration/crash", "--kills", "500" if is_long else "20", "--store", store, env=programs)
                   for store in ("sqlite", "postgres"))
    said += "".join(run("integration/upgrade", "--store", store, env=programs) for store in ("sqlite", "postgres"))
    if is_long:
        said += run("integration/stopped", env=programs)
    return "; ".join(re.findall(r"^(?:crash|upgrade|stopped): (.*): all good$", said, re.M))


def walk() -> str:
    """Each command of docs/operations.md, as it stands."""
    build("release", "cvlan-controller", "cvlanctl", "cvlan-sim")
    said = run("integration/walk", env={"CVLAN_BIN": str(BUILD / "release/bin")})
    return re.findall(r"^walk: (.*): all good$", said, re.M)[-1]


def flood() -> str:
    """A million random packets at a relay."""
    build("release", *PROGRAMS, "bench_datagrams")
    said = run("integration/relay-flood", env={"CVLAN_BIN": str(BUILD / "release/bin")})
    return re.findall(r"^relay-flood: (.*): all good$", said, re.M)[-1]


def packages() -> str:
    said = run("integration/packages")
    return re.findall(r"^packages: (.*)$", said, re.M)[-1]


def fuzz_one(program: str) -> str:
    name = Path(program).name.removeprefix("fuzz_")
    found = BUILD / "fuzz/found" / name
    found.mkdir(parents=True, exist_ok=True)
    corpus = ROOT / "tests/fuzz/corpus" / name
    work = BUILD / "fuzz/corpus" / name
    work.mkdir(parents=True, exist_ok=True)
    if not any(corpus.iterdir()):
        raise Reject(f"{name} has no corpus")
    said = run(program, f"-max_total_time={FUZZ_SECONDS}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
               f"-artifact_prefix={found}/", str(work), str(corpus), quiet=True)
    runs = re.search(r"number_of_executed_units: (\d+)", said)[1]
    print(f"fuzz: {name}: {runs} inputs in {FUZZ_SECONDS} s, nothing found")
    return name


def fuzz() -> str:
    names = sorted(source.stem for source in (ROOT / "tests/fuzz").glob("*.cc"))
    build("fuzz", *(f"fuzz_{name}" for name in names))
    programs = [f"{BUILD}/fuzz/bin/fuzz_{name}" for name in names]
    with concurrent.futures.ThreadPoolExecutor(int(JOBS)) as pool:
        list(pool.map(fuzz_one, programs))
    return f"{len(names)} fuzzers, {FUZZ_SECONDS} s each"


def mutants() -> str:
    run("cmake", "--preset", "release", quiet=True)
    said = run("scripts/mutate-auth", "--build", "build/release")
    return re.findall(r"^mutate-auth: (.*)$", said, re.M)[-1]


STAGES = {"lint": lint, "build": build_release, "unit": unit, "mutants": mutants, "threads": threads, "kernel": kernel,
          "integration": integration, "crash": crash, "walk": walk, "flood": flood, "packages": packages, "fuzz": fuzz}


def main() -> int:
    chosen, names = (sys.argv[1:2] or list(STAGES)), sys.argv[2:]
    if any(stage not in STAGES for stage in chosen) or (names and chosen != ["integration"]):
        print(f"usage: scripts/test [{'|'.join(STAGES)}]   (integration takes names)", file=sys.stderr)
        return 2
    results = []
    for stage in chosen:
        started = time.monotonic()
        print(f"== {stage}", flush=True)
        try:
            verdict, detail = "ACCEPT", STAGES[stage](*names)
        except Reject as why:
            verdict, detail = "REJECT", str(why)
        seconds = round(time.monotonic() - started)
        results.append({"stage": stage, "verdict": verdict, "detail": detail, "seconds": seconds})
        print(f"{verdict} {stage}: {detail} ({seconds} s)", flush=True)
    good = all(result["verdict"] == "ACCEPT" for result in results)
    BUILD.mkdir(exist_ok=True)
    (BUILD / "test-results.json").write_text(json.dumps({"verdict": "ACCEPT" if good else "REJECT", "stages": results}, indent=1) + "\n")
    print("\n".join(["", *(f"{r['verdict']} {r['stage']}: {r['detail']} ({r['seconds']} s)" for r in results)]))
    print(f"{'ACCEPT' if good else 'REJECT'}: {sum(r['verdict'] == 'ACCEPT' for r in results)} of {len(results)} stages, "
          f"{sum(r['seconds'] for r in results)} s")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""Counts the test cases of one Bazel run from its build events, prints skips with reasons, and judges them.

    count.py EVENTS.json --allowed FILE --status N

The last line printed is `N passed, N failed`. A skip is a failure unless a line of FILE excuses it: its condition must
hold on this machine and its pattern must match the reason.
A target that failed without naming a case counts as one failure.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import urllib.parse
import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path

LOG_LINES = 60


@dataclass
class Count:
    """What a run came to."""

    passed: int = 0
    failed: int = 0
    skips: list[tuple[str, str]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    logs: list[Path] = field(default_factory=list)


def _local(uri: str) -> Path:
    return Path(urllib.parse.unquote(urllib.parse.urlparse(uri).path))


def _unshare_works() -> bool:
    return subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode == 0


def _go() -> str | None:
    return shutil.which("go", path=f"{os.environ.get('PATH', '')}:/usr/local/go/bin")


def _oracle_builds() -> bool:
    """Whether the Go oracle can be built from ../shared with the modules that are here."""
    go, shared = _go(), os.environ.get("AMDGPU_DRA_SHARED")
    if go is None or not shared:
        return False
    env = {**os.environ, "GOPROXY": "off", "GOFLAGS": "-mod=mod"}
    command = [go, "build", "-o", os.devnull, "./cmd/allocoracle"]
    return (
        subprocess.run(command, cwd=Path(shared) / "oracle", env=env, capture_output=True, check=False).returncode == 0
    )


CONDITIONS = {
    "docker": lambda: shutil.which("docker") is not None,
    "no-fuse": lambda: not os.access("/dev/fuse", os.R_OK | os.W_OK),
    "no-go": lambda: _go() is None,
    "no-go-modules": lambda: not _oracle_builds(),
    "no-shared": lambda: not os.environ.get("AMDGPU_DRA_SHARED"),
    "no-amd64": lambda: platform.machine() != "x86_64",
    "no-root": lambda: os.geteuid() != 0,
    "no-namespaces": lambda: os.geteuid() != 0 or not _unshare_works(),
}


def read_allowed(path: Path) -> list[tuple[str, re.Pattern[str]]]:
    """The lines of the list of allowed skips: condition and pattern."""
    rows = []
    for line in path.read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            condition, pattern = line.split(maxsplit=1)
            rows.append((condition, re.compile(pattern, re.DOTALL)))
    return rows


def excused(reason: str, allowed: list[tuple[str, re.Pattern[str]]]) -> str | None:
    """The condition that excuses a skip with this reason, if one does."""
    for condition, pattern in allowed:
        if pattern.fullmatch(reason) and CONDITIONS[condition]():
            return condition
    return None


def read_events(path: Path) -> dict[str, dict[str, object]]:
    """Label -> the last attempt's status, log and case file, for each shard of each test of the run."""
    results: dict[str, dict[str, object]] = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if (ident := event.get("id", {}).get("testResult")) and (result := event.get("testResult")):
            files = {f["name"]: _local(f["uri"]) for f in result.get("testActionOutput", []) if "uri" in f}
            results[f"{ident['label']}#{ident.get('shard', 1)}"] = {"status": result.get("status"), "files": files}
        summary = event.get("id", {}).get("targetCompleted")
        if summary and not event.get("completed", {}).get("success") and "aborted" not in event:
            results.setdefault(f"{summary['label']}#build", {"status": "FAILED_TO_BUILD", "files": {}})
    return results


def count_target(label: str, result: dict[str, object], count: Count) -> None:
    """Adds the cases of one target."""
    files = result["files"]
    if not isinstance(files, dict):
        raise TypeError(f"{label}: expected the files of a test, found {files!r}")
    failed_before = count.failed
    cases = _cases(files.get("test.xml"))
    for name, outcome, reason in cases:
        if outcome == "passed":
            count.passed += 1
        elif outcome == "skipped":
            count.skips.append((f"{label} {name}", reason))
        else:
            count.failed += 1
            count.failures.append(f"{label} {name}: {reason}")
    if result["status"] != "PASSED" and count.failed == failed_before:
        count.failed += 1
        count.failures.append(f"{label}: {result['status']}")
    if count.failed > failed_before and "test.log" in files:
        count.logs.append(files["test.log"])


def _cases(path: Path | None) -> list[tuple[str, str, str]]:
    if path is None or not path.is_file():
        return []
    try:
        root = ET.parse(path).getroot()
    except ET.ParseError as error:
        return [(path.name, "failed", f"its case file cannot be read: {error}")]
    return [_case(case) for case in root.iter("testcase")]


def _case(case: ET.Element) -> tuple[str, str, str]:
    name = f"{case.get('classname', '')}::{case.get('name', '')}".strip(":")
    for kind in ("failure", "error", "skipped"):
        if (found := case.find(kind)) is not None:
            reason = (found.get("message") or found.text or "").strip()
            return name, "skipped" if kind == "skipped" else "failed", reason
    return name, "passed", ""


def judge_skips(count: Count, allowed: list[tuple[str, re.Pattern[str]]]) -> None:
    """Prints each skip; one that nothing excuses becomes a failure."""
    for name, reason in count.skips:
        condition = excused(reason, allowed)
        print(f"skipped {name}: {reason} [{condition or 'NOT EXCUSED'}]")
        if condition is None:
            count.failed += 1
            count.failures.append(f"{name}: skipped, and nothing in .ci/allowed_skips excuses it: {reason}")
    print(f"{len(count.skips)} skipped")


def report(count: Count, status: int) -> int:
    """Prints failures, the tails of their logs and the last line; gives the exit status."""
    for log in count.logs:
        print(f"--- end of {log}")
        print("\n".join(log.read_text(errors="replace").splitlines()[-LOG_LINES:]))
    if status != 0 and count.failed == 0:
        count.failed = 1
        count.failures.append(f"bazel ended with status {status} and named no failing test")
    for failure in count.failures:
        print(f"FAILED {failure.splitlines()[0][:300]}")
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed or not count.passed else 0


def main() -> int:
    """Reads the arguments and the events; 1 when anything failed or nothing ran."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("events", type=Path)
    parser.add_argument("--allowed", type=Path, required=True)
    parser.add_argument("--status", type=int, default=0)
    arguments = parser.parse_args()
    count = Count()
    for label, result in sorted(read_events(arguments.events).items()):
        count_target(label, result, count)
    judge_skips(count, read_allowed(arguments.allowed))
    return report(count, arguments.status)


if __name__ == "__main__":
    sys.exit(main())

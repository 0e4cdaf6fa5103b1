"""Kubernetes' own allocator and CEL as line filters, built from ../shared/oracle where Go is."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["OracleError", "ask", "ask_cel", "bench", "build_oracle"]

_GO_FOLDER = "/usr/local/go/bin"


class OracleError(Exception):
    """There is no oracle here; the text says what is missing."""


def build_oracle(out: Path, name: str = "allocoracle") -> Path:
    """Finds the oracle that set-up made or `AMDGPU_DRA_ALLOCORACLE` names, or builds it into a folder.

    `celoracle` is the other name, and `AMDGPU_DRA_CELORACLE` its variable.

    Raises:
        OracleError: Go or its packages are missing.
    """
    if given := os.environ.get(f"AMDGPU_DRA_{name.upper()}"):
        return Path(given)
    made = Path(os.environ.get("AMDGPU_DRA_CACHE", "/nowhere")) / "e2e" / "oracle" / name
    if made.is_file():
        return made
    source = Path(os.environ.get("AMDGPU_DRA_SHARED") or "") / "oracle"
    go = shutil.which("go", path=f"{os.environ.get('PATH', '')}:{_GO_FOLDER}")
    if not (source / "go.mod").is_file() or not os.environ.get("AMDGPU_DRA_SHARED"):
        raise OracleError("../shared/oracle is absent")
    if go is None:
        raise OracleError("Go is absent")
    env = {"GOPROXY": "off", "GOFLAGS": "-mod=mod", "HOME": str(Path.home()), **os.environ}
    command = [go, "build", "-o", str(out), f"./cmd/{name}"]
    done = subprocess.run(command, cwd=source, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OracleError(f"Go cannot build the oracle: {done.stderr.strip()[-200:]}")
    return out / name


def ask(oracle: Path, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The oracle's answer to each case."""
    return _run([str(oracle)], cases)


def ask_cel(oracle: Path, cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The cases with CEL's answers under `expected`, as the recorded cases have them."""
    return _run([str(oracle), "-record"], cases)


def bench(oracle: Path, cases: Sequence[Mapping[str, Any]], runs: int) -> list[dict[str, Any]]:
    """The oracle's timing of each case over so many runs."""
    return _run([str(oracle), "-bench", str(runs)], cases)


def _run(command: Sequence[str], cases: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    with tempfile.TemporaryFile("w+") as file:
        file.writelines(json.dumps(case) + "\n" for case in cases)
        file.seek(0)
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]

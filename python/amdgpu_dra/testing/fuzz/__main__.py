"""`fuzz --seconds N`: spoils inputs of every parser for so long, and says how many were run and what was found."""

import argparse
import contextlib
import io
import logging
import secrets
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from random import Random
from typing import Protocol

from amdgpu_dra.testing.fuzz import TARGETS, Target, mutate, read_corpus
from amdgpu_dra.testing.fuzz.corpus import PRODUCT

_TOOL = sys.monitoring.COVERAGE_ID


class Counted(Protocol):
    """How many lines of the product were reached."""

    @property
    def lines(self) -> int:
        """So far."""
        ...


class Coverage:
    """Tells which inputs reach a line of the product that none before has reached."""

    def __init__(self) -> None:
        self.lines = 0
        sys.monitoring.use_tool_id(_TOOL, "fuzz")
        sys.monitoring.register_callback(_TOOL, sys.monitoring.events.LINE, self._note)
        sys.monitoring.set_events(_TOOL, sys.monitoring.events.LINE)

    def close(self) -> None:
        """Ends it: the interpreter's own end is nobody's input."""
        sys.monitoring.set_events(_TOOL, 0)
        sys.monitoring.free_tool_id(_TOOL)

    def _note(self, code: object, _line: int) -> object:
        if getattr(code, "co_filename", "").startswith(PRODUCT):
            self.lines += 1
        # Each line once, so that it costs nothing later.
        return sys.monitoring.DISABLE


class Run:
    """One target's inputs: what is kept, and what reaches new lines."""

    def __init__(self, target: Target, random: Random, found: Path) -> None:
        self.target, self._random, self._found = target, random, found
        self.inputs = list(read_corpus(target.name).values())
        self.failures: Counter[str] = Counter()
        self.count = 0

    def step(self, coverage: Counted) -> None:
        """One input more."""
        data = mutate(self._random, self._random.choice(self.inputs), self._random.choice(self.inputs))
        before = coverage.lines
        self.count += 1
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                self.target.run(data)
        except Exception as error:  # noqa: BLE001 - it is what is looked for
            self._keep(data, error)
        if coverage.lines > before:
            self.inputs.append(data)

    def _keep(self, data: bytes, error: Exception) -> None:
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
        if not self.failures[what]:
            self._found.mkdir(parents=True, exist_ok=True)
            path = self._found / f"{self.target.name}-{len(self.failures)}"
            path.write_bytes(data)
            print(f"{self.target.name}: {what}: {str(error)[:200]!r}; input kept as {path}")
        self.failures[what] += 1


def main() -> int:
    """1 if anything was found."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for how long, all targets together")
    parser.add_argument("--target", action="append", choices=sorted(TARGETS), help="only these")
    parser.add_argument("--seed", type=int, default=None, help="to do the same again")
    parser.add_argument(
        "--found", type=Path, default=Path(tempfile.gettempdir()) / "amdgpu-fuzz", help="where failing inputs are kept"
    )
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    seed = arguments.seed if arguments.seed is not None else secrets.randbits(32)
    print(f"seed {seed}")
    random, coverage = Random(seed), Coverage()
    runs = [Run(TARGETS[name], random, arguments.found) for name in arguments.target or sorted(TARGETS)]
    end = time.monotonic() + arguments.seconds
    while time.monotonic() < end:
        for run in runs:
            until = time.monotonic() + 0.2
            while time.monotonic() < until:
                run.step(coverage)
    coverage.close()
    for run in runs:
        print(f"{run.target.name:12} {run.count:8} inputs, {len(run.inputs):4} kept, {len(run.failures)} failures")
    print(f"{sum(run.count for run in runs)} inputs, {coverage.lines} lines reached")
    return int(any(run.failures for run in runs))


if __name__ == "__main__":
    sys.exit(main())

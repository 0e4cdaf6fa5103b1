"""Times what a claim costs each engine, by turns, and prints medians and ratios to one file for each claim."""

import argparse
import contextlib
import random
import resource
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

from rich.console import Console
from rich.table import Table

from amdgpu_dra.agent.ports import RecordStore
from amdgpu_dra.api.checkpoint import HeldDevice, Record, State
from amdgpu_dra.edge.disk import RecordFiles
from amdgpu_dra.testing.bench_store.sqlite import SqliteRecords

_HELD = (0, 64, 500)
_CALLERS = 8
_BLOCK = 4096
_ALONE = ("held", "engine", "Prepare p50", "p99", "ratio", "Unprepare p50", "p99", "ratio", "CPU")
_TOGETHER = (
    "engine",
    f"{_CALLERS} callers, claims/s",
    "ratio",
    f"{_CALLERS} handles, claims/s",
    "ratio",
    "load, ms",
    "ratio",
    "lost with a block, p50 / worst",
)


@dataclass
class Engine:
    """One candidate, on a folder of its own."""

    name: str
    make: Callable[[str], RecordStore]
    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.store = self.open()
        self.store.load()
        self.prepares, self.unprepares, self.cpu = list[float](), list[float](), list[float]()

    def open(self) -> RecordStore:
        """Another handle on the same records, as for another thread."""
        return self.make(str(self.folder))


def _record(number: int, kind: str = "held") -> Record:
    device = HeldDevice(
        request="gpu", pool="node-1", device=f"gpu-0000-{number % 256:02x}-00-0", unique_id=f"{number:016x}"
    )
    return Record(
        uid=f"{kind}-{number:04x}-7d1c-4a39-9e55-3f1c2d7a90f2",
        namespace="default",
        name=f"claim-{number}",
        state=State.READY,
        boot_id="5f0f7a5e-5bb0-4b6e-8f93-0c7e1c2f6a11",
        devices=(device,),
    )


def _cycle(store: RecordStore, record: Record) -> tuple[float, float]:
    """A Prepare's two writes and an Unprepare's two, in seconds."""
    start = time.perf_counter()
    store.save(replace(record, state=State.PREPARING))
    store.save(record)
    middle = time.perf_counter()
    store.save(replace(record, state=State.UNPREPARING))
    store.drop(record.uid)
    return middle - start, time.perf_counter() - middle


def _alone(engines: list[Engine], held: int, rounds: int) -> list[list[str]]:
    """One caller, each engine in turn."""
    for number in range(rounds):
        # Whoever is first in a round is last in the next.
        for engine in engines if number % 2 else reversed(engines):
            before = time.process_time()
            prepare, unprepare = _cycle(engine.store, _record(number, "new"))
            engine.prepares.append(prepare)
            engine.unprepares.append(unprepare)
            engine.cpu.append(time.process_time() - before)
    rows, base = [], engines[0]
    for engine in engines:
        row = [str(held), engine.name]
        for mine, first in ((engine.prepares, base.prepares), (engine.unprepares, base.unprepares)):
            median = statistics.median(mine)
            worst = statistics.quantiles(mine, n=100)[98]
            row += [f"{median * 1e3:.2f}", f"{worst * 1e3:.1f}", f"{median / statistics.median(first):.2f}"]
        row.append(f"{statistics.median(engine.cpu) * 1e3:.2f}")
        rows.append(row)
    for engine in engines:
        engine.prepares, engine.unprepares, engine.cpu = [], [], []
    return rows


def _together(engines: list[Engine], rounds: int, *, apart: bool) -> dict[str, float]:
    """Claims per second with eight callers, each engine in turn; `apart`: each on a handle of its own."""
    found: dict[str, list[float]] = {engine.name: [] for engine in engines}
    each = max(4, rounds // _CALLERS)

    def call(engine: Engine, caller: int) -> None:
        store = engine.open() if apart else engine.store
        for number in range(each):
            _cycle(store, _record(caller * each + number, "new"))

    with ThreadPoolExecutor(_CALLERS) as pool:
        for _ in range(3):
            for engine in engines:
                start = time.perf_counter()
                list(pool.map(call, [engine] * _CALLERS, range(_CALLERS)))
                found[engine.name].append(_CALLERS * each / (time.perf_counter() - start))
    return {name: statistics.median(rates) for name, rates in found.items()}


def _loads(engines: list[Engine]) -> dict[str, float]:
    """Milliseconds to open and read everything, each engine in turn."""
    found: dict[str, list[float]] = {engine.name: [] for engine in engines}
    for _ in range(9):
        for engine in engines:
            start = time.perf_counter()
            assert len(engine.open().load().records) == _HELD[-1]
            found[engine.name].append((time.perf_counter() - start) * 1e3)
    return {name: statistics.median(times) for name, times in found.items()}


def _damage(engine: Engine, trials: int = 40) -> list[int]:
    """How many of the records are lost when one block of the disk comes back as zeros, in so many places."""
    chance, found = random.Random(1), list[int]()
    for trial in range(trials):
        copy = engine.folder.with_name(f"{engine.folder.name}-{trial}")
        shutil.copytree(engine.folder, copy)
        files = sorted(copy.iterdir())
        (path,) = chance.choices(files, [path.stat().st_size for path in files])
        at = chance.randrange(0, path.stat().st_size, _BLOCK)
        with path.open("r+b") as file:
            file.seek(at)
            file.write(bytes(min(_BLOCK, path.stat().st_size - at)))
        try:
            found.append(_HELD[-1] - len(engine.make(str(copy)).load().records))
        except sqlite3.DatabaseError:
            found.append(_HELD[-1])
        shutil.rmtree(copy)
    return sorted(found)


def _engines(work: Path) -> tuple[list[Engine], float]:
    """The candidates, and what SQLite adds to the process in 10^6 bytes."""
    files = Engine("files", RecordFiles, work / "files")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    wal = Engine("SQLite WAL", partial(SqliteRecords, journal="WAL"), work / "wal")
    delete = Engine("SQLite DELETE", partial(SqliteRecords, journal="DELETE"), work / "delete")
    added = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 1e6
    return [files, wal, delete], added


def _beside(found: dict[str, float], name: str) -> tuple[str, str]:
    """A figure, and its ratio to that of files."""
    return f"{found[name]:.0f}", f"{found[name] / found['files']:.2f}"


def _print(title: str, names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    table = Table(title=title)
    for name in names:
        table.add_column(name, justify="left" if name == "engine" else "right")
    for row in rows:
        table.add_row(*row)
    Console(width=120).print(table)


def main() -> int:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="on the disk that is measured")  # noqa: S108
    parser.add_argument("--rounds", type=int, default=200)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="amdgpu-store-", dir=arguments.folder) as folder:
        engines, added = _engines(Path(folder))
        rows = list[list[str]]()
        for before, held in pairwise((0, *_HELD)):
            for engine in engines:
                for number in range(before, held):
                    engine.store.save(_record(number))
            rows += _alone(engines, held, arguments.rounds)
        together, apart = (_together(engines, arguments.rounds, apart=apart) for apart in (False, True))
        loads = _loads(engines)
        # WAL and DELETE have the same pages.
        lost = {engine.name: _damage(engine) for engine in engines if "WAL" not in engine.name}
    _print(f"one caller, {arguments.rounds} rounds in {arguments.folder}; ms, and ratio to files", _ALONE, rows)
    rows = [
        [name, *(text for found in (together, apart, loads) for text in _beside(found, name))]
        + ([f"{statistics.median(lost[name]):.0f} / {lost[name][-1]}"] if name in lost else ["as DELETE"])
        for name in loads
    ]
    _print(f"{_HELD[-1]} held", _TOGETHER, rows)
    print(f"SQLite's first handles add {added:.1f} MB to the process")
    return 0


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(main())

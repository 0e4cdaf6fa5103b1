"""Times every shape here and in the Go oracle, one after the other, and prints medians and ratios."""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from amdgpu_dra.core.allocate import (
    Allocated,
    AllocatedState,
    Allocator,
    Features,
    Inventory,
    SelectorCache,
    decode_claim,
    decode_class,
    decode_node,
    decode_slice,
)
from amdgpu_dra.testing.bench_allocate.shapes import shapes
from amdgpu_dra.testing.oracle import OracleError, bench, build_oracle

_MOST_SECONDS = 2.0


def _time_here(case: Mapping[str, Any], runs: int, *, fresh: bool) -> float:
    """Median microseconds of an allocation: objects decoded and expressions compiled, the allocator new each time.

    With `fresh`, what selectors said of devices and what pools are made of is forgotten before each run.
    """
    classes = [decode_class(item) for item in case["classes"]]
    slices = [decode_slice(item) for item in case["slices"]]
    claims = [decode_claim(item) for item in case["claims"]]
    nodes = [decode_node(item) for item in [case["node"], *case["sweepNodes"]]]
    selectors, inventory = SelectorCache(), Inventory(slices)
    found: list[float] = []
    begin = time.monotonic()
    while len(found) < runs and (len(found) < 3 or time.monotonic() - begin < _MOST_SECONDS):
        if fresh:
            inventory = Inventory(slices)
            for item in slices:
                for device in item.devices:
                    device.memo.clear()
        allocator = Allocator(Features(), AllocatedState(), classes, inventory, selectors=selectors)
        start = time.perf_counter_ns()
        outcomes = [allocator.allocate(node, claims) for node in nodes]
        found.append((time.perf_counter_ns() - start) / 1000)
        assert all(isinstance(item, Allocated) for item in outcomes)
    return statistics.median(found)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--oracle", type=Path, help="the built allocoracle; built from ../shared/oracle without it")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        try:
            oracle = args.oracle or build_oracle(Path(work))
        except OracleError as error:
            print(f"no oracle: {error}; give one with --oracle", file=sys.stderr)
            return 2
        rows = [_row(case, oracle, args.runs) for case in shapes()]
    table = Table(title="µs per allocation (median)")
    for name in ("shape", "Go", "here", "ratio", "selectors asked anew", "ratio"):
        table.add_column(name, justify="left" if name == "shape" else "right")
    for row in rows:
        table.add_row(
            row["shape"],
            f"{row['go']:.0f}",
            f"{row['warm']:.0f}",
            f"{row['warm'] / row['go']:.1f}",
            f"{row['fresh']:.0f}",
            f"{row['fresh'] / row['go']:.1f}",
        )
    Console().print(table)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    return 0


def _row(case: Mapping[str, Any], oracle: Path, runs: int) -> dict[str, Any]:
    times = runs if not case["sweepNodes"] else max(3, runs // 40)
    go = bench(oracle, [case], times)[0]["allocateMedianMicros"]
    warm, fresh = _time_here(case, times, fresh=False), _time_here(case, times, fresh=True)
    return {"shape": case["name"], "go": go, "warm": warm, "fresh": fresh}


if __name__ == "__main__":
    sys.exit(main())

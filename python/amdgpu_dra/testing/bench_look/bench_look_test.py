"""The benchmark of looks runs, and measures the nodes that it names."""

import argparse
import asyncio
from pathlib import Path

from amdgpu_dra.testing.bench_look.__main__ import fleets, measure, show


def test_every_node_has_its_figures(tmp_path: Path) -> None:
    """A few looks at each: all cost something, and to read the whole tree costs more than to look."""
    figures = asyncio.run(measure(tmp_path, argparse.Namespace(runs=20, rest=0)))
    assert list(figures) == list(fleets())
    assert all(0 < row["look_ms"] < row["reading_ms"] for row in figures.values())
    show(figures)

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from amdgpu_dra.core.allocate import judge_allocation, solve_case
from amdgpu_dra.testing.shared import shared_folder


def _cases(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(shared_folder("conformance") / name, "rt") as file:
        for line in file:
            yield json.loads(line)


@pytest.mark.parametrize(
    ("name", "count"), [("allocator-cases-v0.37.2.jsonl.gz", 528), ("allocator-random-v0.37.2.jsonl.gz", 2000)]
)
def test_recorded_answers(name: str, count: int) -> None:
    """Every recorded answer of Kubernetes' own allocator is ours too."""
    cases = list(_cases(name))
    assert len(cases) == count
    assert [found for case in cases if (found := judge_allocation(case)) is not None] == []


def test_steps() -> None:
    """Without pruning the search takes exactly upstream's steps, and pruning takes no more and answers the same."""
    for case in _cases("allocator-random-v0.37.2.jsonl.gz"):
        whole, pruned = solve_case(case, pruned=False), solve_case(case)
        assert whole.steps == case["expect"]["invocations"], case["name"]
        assert pruned.steps <= whole.steps, case["name"]
        assert type(pruned) is type(whole), case["name"]

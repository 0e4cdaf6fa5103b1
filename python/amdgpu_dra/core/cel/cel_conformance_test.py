import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from amdgpu_dra.core.cel import CelOutcome, judge_cel
from amdgpu_dra.testing.shared import shared_folder

_DIFFERENCES = json.loads((Path(__file__).parent / "testdata/differences.json").read_text())


@pytest.fixture(scope="module")
def outcomes() -> list[CelOutcome]:
    """All recorded cases, judged."""
    path = shared_folder("conformance") / "cel-cases-v0.37.2.jsonl.gz"
    with gzip.open(path, "rt") as lines:
        return [judge_cel(json.loads(line)) for line in lines]


def test_verdict_and_phase(outcomes: list[CelOutcome]) -> None:
    """Kubernetes' own answers: every verdict, and the phase in which an error is found, agree."""
    assert len(outcomes) >= 1500
    wrong = [(one.expression, one.expected, one.found, one.message) for one in outcomes if not one.verdict]
    assert wrong == []


@pytest.mark.parametrize("what", ["too_long", "too_expensive", "max_cost", "cost"])
def test_costs(outcomes: list[CelOutcome], what: str) -> None:
    """Length, estimate and the cost of running agree with Kubernetes' in every case that has them."""
    assert [one.expression for one in outcomes if not getattr(one, what)] == []


def test_cases_of_all_kinds(outcomes: list[CelOutcome]) -> None:
    """The file holds matches, misses and errors of both phases, so that agreement says something."""
    kinds = Counter(one.expected for one in outcomes)
    assert min(kinds[kind] for kind in ("true", "false", "compile error", "runtime error")) > 100


@pytest.mark.parametrize("row", _DIFFERENCES, ids=lambda row: row["what"])
def test_listed_difference(row: dict[str, str]) -> None:
    """What is listed as different from Kubernetes is so, with a reason; what no longer is must leave the list."""
    case = {"expression": row["expression"], "device": {"driver": "gpu.amd.com"}, "expected": {}}
    assert judge_cel(case).found == row["here"] != row["go"]
    assert row["reason"]

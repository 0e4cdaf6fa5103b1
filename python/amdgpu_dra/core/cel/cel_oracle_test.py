"""Random expressions, and the selectors of users, put to Kubernetes' own CEL and to ours."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from amdgpu_dra.core.cel import judge_cel
from amdgpu_dra.testing.oracle import OracleError, ask_cel, build_oracle
from amdgpu_dra.testing.shared import shared_folder
from amdgpu_dra.testing.strategies import cel_cases

_TESTDATA = Path(__file__).parent / "testdata"
_DIFFERENCES = json.loads((_TESTDATA / "differences.json").read_text())
_SELECTORS = json.loads((_TESTDATA / "selectors.json").read_text())
_QUESTIONS = 1500


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The oracle's program."""
    shared_folder("oracle")
    try:
        return build_oracle(tmp_path_factory.mktemp("oracle"), "celoracle")
    except OracleError as error:
        pytest.skip(str(error))


def test_same_as_the_oracle(oracle: Path) -> None:
    """Kubernetes' own CEL gives the same verdict in the same phase, and the same estimate, whatever is asked."""
    cases: list[dict[str, Any]] = []

    @settings(max_examples=_QUESTIONS, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(cel_cases())
    def collect(case: dict[str, Any]) -> None:
        cases.append(case | {"id": f"drawn-{len(cases)}"})

    collect()
    listed = {row["expression"] for row in _DIFFERENCES}
    compiled = 0
    for case in ask_cel(oracle, cases):
        if case["expression"] in listed or str(case["expected"]["runtime_message"]).startswith("PANIC"):
            continue  # the listed panic has many forms
        outcome = judge_cel(case)
        assert outcome.verdict, (case, outcome.found, outcome.message)
        assert (outcome.too_long, outcome.too_expensive, outcome.max_cost) == (True, True, True), case
        compiled += outcome.expected != "compile error"
    assert compiled > _QUESTIONS / 2


@pytest.mark.parametrize("row", _DIFFERENCES, ids=lambda row: row["what"])
def test_listed_difference(oracle: Path, row: dict[str, str]) -> None:
    """Of what is listed as different, Kubernetes' side is as listed."""
    case = {"id": row["what"], "expression": row["expression"], "device": {"driver": "gpu.amd.com"}}
    (answered,) = ask_cel(oracle, [case])
    assert _verdict(answered["expected"]) == row["go"]


def test_selectors_as_recorded(oracle: Path) -> None:
    """The verdicts of selectors.json are Kubernetes' own; for a new selector the failure shows the row to write."""
    cases = [
        {"id": f"{name}", "expression": row["expression"], "device": {"driver": device["driver"], **device["device"]}}
        for row in _SELECTORS["selectors"]
        for name, device in _SELECTORS["devices"].items()
    ]
    found: dict[str, dict[str, object]] = {}
    for answered in ask_cel(oracle, cases):
        verdict = _verdict(answered["expected"])
        found.setdefault(answered["expression"], {})[answered["id"]] = {"true": True, "false": False}.get(
            verdict, verdict
        )
    wrong = [row | {"verdicts": found[row["expression"]]} for row in _SELECTORS["selectors"]]
    assert [json.dumps(row) for row in wrong if row not in _SELECTORS["selectors"]] == []


def _verdict(expected: dict[str, Any]) -> str:
    for phase in ("compile", "runtime"):
        if expected[f"{phase}_error"]:
            return f"{phase} error"
    return str(expected["result"]).lower()

"""Random questions, put to Kubernetes' own allocator and to ours."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from amdgpu_dra.core.allocate import judge_allocation
from amdgpu_dra.testing.oracle import OracleError, ask, build_oracle
from amdgpu_dra.testing.shared import shared_folder
from amdgpu_dra.testing.strategies import allocation_cases

_QUESTIONS = 400
_MOST_STEPS = 20_000


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The oracle's program."""
    shared_folder("oracle")
    try:
        return build_oracle(tmp_path_factory.mktemp("oracle"))
    except OracleError as error:
        pytest.skip(str(error))


def test_same_as_the_oracle(oracle: Path) -> None:
    """Kubernetes' own allocator gives the same devices in the same order, or refuses as we do, whatever is asked."""
    cases: list[dict[str, Any]] = []

    @settings(max_examples=_QUESTIONS, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(allocation_cases())
    def collect(case: dict[str, Any]) -> None:
        cases.append(case | {"name": f"drawn-{len(cases)}"})

    collect()
    answered = 0
    for case, answer in zip(cases, ask(oracle, cases), strict=True):
        if answer["invocations"] <= _MOST_STEPS:
            answered += 1
            assert judge_allocation(case | {"expect": answer}) is None, case
    assert answered > _QUESTIONS / 2

"""Looks for the first story in which something does not hold."""

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from amdgpu_dra.testing.model.scene import TOTAL, Scene


def find_first(machine: type[Scene], stories: int, *, steps: int = 40) -> tuple[int, Exception] | None:
    """How many stories it took, at most so many, and what was found; None if all hold. The same at every run."""
    before = TOTAL["stories"]
    how = settings(
        max_examples=stories,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        derandomize=True,
        report_multiple_bugs=False,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=how)
    except Exception as error:  # noqa: BLE001 - whatever it is found by
        # The story that was found is told once more.
        return TOTAL["stories"] - before - 1, error
    return None

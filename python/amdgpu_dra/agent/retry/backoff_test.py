"""Pauses grow, are spread over their whole ceiling, and are never shorter than the server asked for."""

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.agent.retry import Backoff
from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.testing.fakes import FakeClock


class Clock(FakeClock):
    """Its jitter is what the test says."""

    part = 1.0

    def jitter(self) -> float:
        """See the port."""
        return self.part


@given(st.lists(st.floats(0, 1), min_size=1, max_size=2000), st.floats(0.01, 5), st.floats(5, 100))
def test_a_pause_is_a_part_of_a_ceiling_that_doubles(parts: list[float], first: float, longest: float) -> None:
    """From nothing to the ceiling, which is doubled by each failure, however many, up to the longest."""
    clock = Clock()
    backoff = Backoff(clock, first=first, longest=longest)
    ceiling = first
    for part in parts:
        clock.part = part
        assert abs(backoff.next_pause() - part * min(longest, ceiling)) < 1e-9
        ceiling = min(longest, ceiling * 2)
    backoff.reset()
    clock.part = 1.0
    assert backoff.next_pause() == first


@given(st.floats(0, 60), st.floats(0, 1))
def test_a_server_that_says_when_is_obeyed(told: float, part: float) -> None:
    """The pause begins after what it asked for, and is spread beyond that as any other."""
    clock = Clock()
    clock.part = part
    error = NotReadyError("API server", expected="an answer", found="429", action="wait")
    error.retry_after = told
    assert Backoff(clock, first=2.0).next_pause(error) == told + 2.0 * part

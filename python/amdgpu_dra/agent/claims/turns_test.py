"""Turns: never two at once for one key, and nothing is kept afterwards."""

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.agent.claims.turns import Turns

VISITS = st.lists(
    st.tuples(st.sampled_from("ab"), st.integers(0, 4), st.integers(0, 4), st.none() | st.integers(0, 9)), max_size=8
)


@given(VISITS)
def test_one_at_a_time_whatever_comes_and_goes(visits: list[tuple[str, int, int, int | None]]) -> None:
    """Visitors that come late, stay long or give up: no key has two at once, and at the end no key is kept."""

    async def story() -> None:
        turns, inside = Turns(), Counter[str]()

        async def visit(key: str, late: int, long: int) -> None:
            for _ in range(late):
                await asyncio.sleep(0)
            async with turns.take(key):
                inside[key] += 1
                try:
                    for _ in range(long):
                        assert inside[key] == 1
                        await asyncio.sleep(0)
                finally:
                    inside[key] -= 1

        async def give_up(task: asyncio.Task[None], after: int) -> None:
            for _ in range(after):
                await asyncio.sleep(0)
            task.cancel()

        tasks = [asyncio.create_task(visit(key, late, long)) for key, late, long, _ in visits]
        await asyncio.gather(
            *(give_up(task, visit[3]) for task, visit in zip(tasks, visits, strict=True) if visit[3] is not None)
        )
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(end is None or isinstance(end, asyncio.CancelledError) for end in ends)
        assert len(turns) == 0

    asyncio.run(story())

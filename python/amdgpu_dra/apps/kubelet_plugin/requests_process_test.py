"""What the plugin asks of the API server is what the docs say, request by request."""

import asyncio
import re
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from amdgpu_dra.agent.claims import verify
from amdgpu_dra.agent.events import queue
from amdgpu_dra.agent.publish import watch
from amdgpu_dra.edge.fakekernel import why_no_kernel
from amdgpu_dra.testing.fakeapi.client import SLICES
from amdgpu_dra.testing.fakenode import DRIVER, DYNAMIC_FLAGS, World, tell

FLEET = "mi300x-8-spx"
FIRST, SECOND = "gpu-0000-05-00-0", "gpu-0000-26-00-0"
_PAGE = Path("docs/reference/api-requests.md").read_text(encoding="utf-8")


def _table() -> dict[str, Counter[str]]:
    """When -> how many of each request, of the first table."""
    rows = re.findall(r"^\| (.+?) \| ((?:\d|none).*) \|$", _PAGE.partition("in an hour")[0], re.MULTILINE)
    return {
        when: Counter({name: int(count) for count, name in re.findall(r"(\d+) `(.+?)`", cell)}) for when, cell in rows
    }


TABLE = _table()


class Count:
    """Compares what was asked since the last time with a row of the table.

    Whatever is asked beyond a row, also after it was compared, is found at the next one.
    """

    def __init__(self, world: World) -> None:
        self._asked = world.api.asked
        self._from = len(self._asked)

    async def check(self, when: str) -> None:
        """Returns once exactly the requests of the row were made."""
        try:
            async with asyncio.timeout(30):
                while (found := Counter(self._asked[self._from :])) != TABLE[when]:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            pytest.fail(f"{when}: the docs have {dict(TABLE[when])}, the plugin has sent {dict(found)}")
        self._from += TABLE[when].total()


def _change_mode(file: Path, mode: str) -> None:
    file.write_text(f"{mode}\n")


def _play(act: Callable[[World, Count], Awaitable[None]], *, dynamic: bool = False) -> None:
    async def story(world: World) -> None:
        await act(world, Count(world))

    tell(story, fleet="mi350x-8-spx" if dynamic else FLEET, dynamic=dynamic, seconds=120)


def test_claims_cost_what_the_table_says() -> None:
    """Start, Prepare, its repetition, Unprepare, and a restart with claims."""

    async def act(world: World, count: Count) -> None:
        plugin, kubelet = await world.start()
        await count.check("first start")
        one, two = await world.claim("one", FIRST), await world.claim("two", SECOND)
        await kubelet.prepare(one)
        await count.check("Prepare")
        await kubelet.prepare(one)
        await count.check("Prepare of a prepared claim")
        await kubelet.unprepare(one)
        await count.check("Unprepare")
        for claim in (one, two):
            await kubelet.prepare(claim)
            await count.check("Prepare")

        await plugin.stop(signal.SIGKILL)
        await kubelet.close()
        (plugin.registry / f"{DRIVER}-reg.sock").unlink()
        plugin, _ = await world.start()
        await count.check("restart, two claims held")
        await count.check("Unprepare")
        await plugin.stop()

    _play(act)


def test_slices_cost_what_the_table_says() -> None:
    """A GPU that changes, others who change or delete, and a watch that ends in one way or another."""

    async def act(world: World, count: Count) -> None:
        plugin, _ = await world.start("--rescan-interval=0.1")
        await count.check("first start")
        # One file, so that no look sees a half of it.
        _change_mode(world.setting.tree / "sys/bus/pci/devices/0000:05:00.0/current_memory_partition", "NPS4")
        await count.check("a GPU changes")

        (item,) = await world.published()
        path = f"{SLICES}/{item['metadata']['name']}"
        item["spec"]["devices"] = item["spec"]["devices"][:1]
        await world.client.call("PUT", path, item)
        await count.check("others change a slice")
        await world.client.call("DELETE", path)
        await count.check("others delete a slice")

        world.api.end_watches()
        await count.check("the time of a watch is over")
        port = int(world.api.address.rpartition(":")[2])
        await world.api.stop()
        await world.api.start(port)
        await count.check("the API server returns")
        # Three watches in a row that ended early would be a reason to list as well.
        await world.client.call("DELETE", path)
        await count.check("others delete a slice")
        await world.client.make_node("another")
        world.api.forget()
        await count.check("the API server has forgotten what happened since")
        await plugin.stop()

    _play(act)


def test_a_first_start_that_asks_for_counters() -> None:
    """Whether the cluster keeps them is asked once, by a dry run."""

    async def act(world: World, count: Count) -> None:
        plugin, _ = await world.start("--feature-gates=DynamicPartitioning=true", "--repartition=per-gpu")
        await count.check("first start, DynamicPartitioning")
        await plugin.stop()

    _play(act)


@pytest.mark.skipif(bool(why_no_kernel()), reason=f"a fake kernel: {why_no_kernel()}")
def test_a_switch_costs_nothing() -> None:
    """Beside the claim's own request."""

    async def act(world: World, count: Count) -> None:
        plugin, kubelet = await world.start(*DYNAMIC_FLAGS, "--rescan-interval=0.1", "-v=4")
        await world.published()
        # The first look at claims asks for each that is there by then.
        while "watch resourceslices" not in world.api.asked or "verified 0 claims" not in plugin.log.read_text():
            await asyncio.sleep(0.02)
        count = Count(world)
        claim = await world.claim("one", f"{FIRST}-cpx-0")
        assert (await kubelet.prepare(claim))[claim["metadata"]["uid"]].error == ""
        await count.check("Prepare")
        # The switch was seen by a look as well, and what it found is what was published before.
        while "GPUs or their modes have changed" not in plugin.log.read_text():
            await asyncio.sleep(0.02)
        await count.check("a GPU is switched by a claim")
        await plugin.stop()

    _play(act, dynamic=True)


def test_an_hour_of_rest() -> None:
    """The figures of the second table follow from the periods in the code."""
    mean = (watch.SHORTEST + watch.LONGEST) / 2
    assert f"| watches | {3600 / mean:.0f} `watch resourceslices` |" in _PAGE
    per_claim = 3600 / verify.EVERY
    assert f"| verification of claims | {per_claim:.0f} `get resourceclaims` for each claim that is held |" in _PAGE
    assert f"in a flood {queue.BURST} `create events` at once, then {3600 / queue.REFILL:.0f} in an hour" in _PAGE
    a_second = (
        f"{1000 / mean:.0f} watches that begin and {8000 * per_claim / 3600:.0f} `get resourceclaims` in a second"
    )
    assert a_second in _PAGE


def test_every_row_is_measured() -> None:
    """No row of the table is there that no test of this file compares."""
    source = Path(__file__).read_text(encoding="utf-8")
    assert {when for when in TABLE if f'check("{when}")' not in source} == set()
    assert len(TABLE) == 13

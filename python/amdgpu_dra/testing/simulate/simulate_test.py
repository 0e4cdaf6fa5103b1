"""The simulation: counters hold, the same seed gives the same figures, and our order packs better."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.simulate import Outcome, Pool, draw_requests, naive_order, our_order, play

INVENTORY = parse(render(read_fleet("mi300x-8-spx")))
OURS, NAIVE = our_order(INVENTORY), naive_order(INVENTORY)
MODES = st.sampled_from(["SPX", "DPX", "QPX", "CPX"])


@given(st.lists(st.tuples(MODES, st.booleans()), max_size=60))
def test_no_gpu_is_in_two_modes(steps: list[tuple[str, bool]]) -> None:
    """After any takes and returns each GPU's held devices are of one mode, and free XCCs are what is left."""
    pool = Pool(OURS)
    for mode, back in steps:
        if back and pool.held:
            pool.give_back(next(iter(pool.held)))
        else:
            pool.take(mode)
        modes = {(device.gpu.address, device.mode) for device in pool.held.values()}
        assert len(modes) == len({address for address, _ in modes})
        assert pool.free_xccs == 64 - sum(device.partition.xccs or 0 for device in pool.held.values())


def test_a_request_that_names_no_kind_gets_a_whole_gpu() -> None:
    """And the first partition comes from the other end of the node."""
    pool = Pool(OURS)
    first, partition = pool.take(None), pool.take("CPX")

    assert first is not None
    assert partition is not None
    assert (first.name, partition.name) == ("gpu-0000-05-00-0", "gpu-0000-e5-00-0-cpx-0")


def _play(seed: int) -> tuple[Outcome, Outcome]:
    requests = draw_requests(Random(seed), count=5000, nodes=1, mix={"SPX": 3, "CPX": 7}, stays=14.4)
    return play([Pool(OURS)], requests), play([Pool(NAIVE)], requests)


def test_our_order_blocks_fewer_whole_gpus() -> None:
    """On the same requests, and the same figures for the same seed."""
    ours, naive = _play(1)

    assert (ours, naive) == _play(1)
    assert ours.whole == naive.whole
    assert ours.blocked < naive.blocked

"""What a reading lacks is told from what has gone."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.core.gpu import DeviceNode, Gpu, Inventory, Partition, PciAddress, Problem, find_lost

FAILED = Problem(path="p", reason="cannot be read: EIO", costs="it", errno="EIO")
KFD = DeviceNode(path="kfd", major=235, minor=0)


def _gpu(number: int, *parts: Partition) -> Gpu:
    return Gpu(address=PciAddress(0, number, 0), compute_mode="SPX", partitions=parts)


def _part(number: int, memory: int | None) -> Partition:
    return Partition(gpu=PciAddress(0, number, 0), index=0, memory=memory)


def _inventory(numbers: set[int], *, failed: bool = False) -> Inventory:
    gpus = tuple(_gpu(number, _part(number, 1)) for number in sorted(numbers))
    return Inventory(gpus=gpus, kfd=KFD, problems=(FAILED,) if failed else ())


@given(before=st.sets(st.integers(0, 9)), after=st.sets(st.integers(0, 9)), failed=st.booleans())
def test_lost_is_what_is_missing_where_a_file_failed(*, before: set[int], after: set[int], failed: bool) -> None:
    """With every file read, nothing is lost; with one that failed, exactly the GPUs that are no longer shown."""
    kfd, lost = find_lost(_inventory(before), _inventory(after, failed=failed))
    assert kfd == KFD
    assert {address.bus for address in lost} == (before - after if failed else set())


def test_a_value_that_is_no_longer_known_is_lost() -> None:
    """Of a partition, of a GPU, and of KFD itself."""
    before = Inventory(gpus=(_gpu(1, _part(1, 5)),), kfd=KFD)
    for gpu in (_gpu(1, _part(1, None)), _gpu(1), replace(before.gpus[0], compute_mode=None)):
        after = Inventory(gpus=(gpu,), kfd=None, problems=(FAILED,))
        assert find_lost(before, after) == (KFD, {before.gpus[0].address: before.gpus[0]})


def test_another_mode_is_no_loss() -> None:
    """Fewer partitions in another mode are what that mode has."""
    before = Inventory(gpus=(_gpu(1, _part(1, 5), replace(_part(1, 5), index=1)),))
    after = Inventory(gpus=(replace(_gpu(1, _part(1, 5)), compute_mode="DPX"),), problems=(FAILED,))
    assert find_lost(before, after)[1] == {}

"""Locks between instances, by two open files as two processes have them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.agent.ports import Instances
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.gpu import PciAddress
from amdgpu_dra.edge.disk import InstanceFile

ADDRESSES = st.builds(PciAddress, st.integers(0, 0xFFFF), st.integers(0, 0xFF), st.integers(0, 0x1F), st.integers(0, 7))


@pytest.fixture(name="both")
def _both(tmp_path: Path) -> Iterator[tuple[InstanceFile, InstanceFile]]:
    one, two = InstanceFile(str(tmp_path)), InstanceFile(str(tmp_path))
    yield one, two
    for item in (one, two):
        try:
            item.close()
        except OSError:
            continue


def test_a_lock_is_one_instances(both: tuple[InstanceFile, InstanceFile]) -> None:
    """Until it gives it back, or ends; another key is free."""
    one, two = both
    port: Instances = one

    assert port.try_lock("claim/a")
    assert one.try_lock("claim/a")
    assert not two.try_lock("claim/a")
    assert two.try_lock("claim/b")
    one.unlock("claim/a")
    assert two.try_lock("claim/a")
    two.close()
    assert one.try_lock("claim/a")


def test_an_end_is_noticed(both: tuple[InstanceFile, InstanceFile]) -> None:
    """Who is alone knows it; the version differs, since who was killed may not have counted its last change."""
    one, two = both
    before, alone = one.get_version(), [one.alone]
    two.close()
    alone.append(one.alone)

    assert alone == [False, True]
    assert before != one.get_version()


def test_changes_of_others_are_seen_and_own_ones_are_not(both: tuple[InstanceFile, InstanceFile]) -> None:
    """Before and after a change, so that a reading amid it is repeated."""
    one, two = both
    versions = [(one.get_version(), two.get_version())]
    with one.changing():
        versions.append((one.get_version(), two.get_version()))
    versions.append((one.get_version(), two.get_version()))

    own, others = zip(*versions, strict=True)
    assert len(set(own)) == 1
    assert len(set(others)) == 3


def test_the_later_one_leads_once_it_stands_for_it(both: tuple[InstanceFile, InstanceFile]) -> None:
    """Nobody leads who did not stand for it; with the end of the later one the earlier one leads again."""
    one, two = both

    assert (one.leads, two.leads) == (False, False)
    one.lead()
    assert (one.leads, two.leads) == (True, False)
    two.lead()
    assert (one.leads, two.leads) == (False, True)
    two.close()
    assert one.leads


def test_looks_are_seen_until_the_last_ends(both: tuple[InstanceFile, InstanceFile]) -> None:
    """Several of one instance, and of both at once."""
    one, two = both
    for item in (one, one, two):
        item.begin_look()
    one.end_look()
    seen = [two.others_look]
    one.end_look()
    seen.append(two.others_look)

    assert seen == [True, False]
    assert one.others_look


@given(st.sets(ADDRESSES, max_size=8), st.sets(ADDRESSES, max_size=8))
def test_which_gpus_others_switch_is_known(
    tmp_path_factory: pytest.TempPathFactory, first: set[PciAddress], second: set[PciAddress]
) -> None:
    """By address, without a list of GPUs; each has one who switches it."""
    folder = str(tmp_path_factory.mktemp("plugin"))
    one, two = InstanceFile(folder), InstanceFile(folder)
    assert all(one.try_switch(address) for address in first)
    assert {address for address in second if two.try_switch(address)} == second - first

    assert two.find_switching() == first
    assert one.find_switching() == second - first
    for address in first:
        one.end_switch(address)
    assert two.find_switching() == frozenset()
    one.close()
    two.close()


def test_a_child_has_no_lock(both: tuple[InstanceFile, InstanceFile], tmp_path: Path) -> None:
    """The file is not inherited: a program that is started from here keeps nothing locked."""
    held = [fd for fd in os.listdir("/proc/self/fd") if _path(fd) == str(tmp_path / "instances")]

    assert len(held) == len(both)
    assert not any(os.get_inheritable(int(fd)) for fd in held)


def _path(fd: str) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except FileNotFoundError:
        return ""


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    """One line, as for the other folders; and too many instances are one too."""
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match=r"file of instances .* expected to make and lock it"):
        InstanceFile(str(tmp_path / "file" / "x"))

    many = [InstanceFile(str(tmp_path)) for _ in range(31)]
    with pytest.raises(HostError, match="fewer than 31 instances"):
        InstanceFile(str(tmp_path))
    for item in many:
        item.close()

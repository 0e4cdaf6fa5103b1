"""Records on a disk that loses power: whatever is lost of what was not synced, no claim is."""

import errno
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amdgpu_dra.agent.ports import RecordStore
from amdgpu_dra.api.checkpoint import HeldDevice, Record, State, decode_record
from amdgpu_dra.api.errors import DriverError, HostError
from amdgpu_dra.edge.disk import RecordFiles
from amdgpu_dra.testing.cutfs import CutMount, Fault, cut_mount

STATES = (State.PREPARING, State.READY, State.UNPREPARING)
UIDS = st.sampled_from(["a", "b", "c"])
# Save a record in a state; drop one; or begin anew, as a process that finds what the last one left.
CALLS = st.tuples(st.just("save"), UIDS, st.sampled_from(STATES)) | st.tuples(st.just("drop"), UIDS, st.just(""))
CALLS |= st.just(("start", "", ""))
type Call = tuple[str, str, str]
type Sync = tuple[str, int]


def _record(uid: str, state: str) -> Record:
    # Of more than one sector, so that half of it may be lost.
    devices = tuple(HeldDevice(request="r", pool="n", device=f"gpu-{index}") for index in range(2))
    return Record(uid=uid, namespace="ns", name=uid, state=state, boot_id="b", devices=devices)


def _load(store: RecordStore) -> list[Record]:
    """As a process starts."""
    records = list(store.load().records)
    store.sweep(lambda _uid: True)
    return records


@pytest.fixture(name="mount", scope="module")
def _mount() -> Iterator[CutMount]:
    with cut_mount() as mount:
        yield mount


@dataclass
class Node:
    """A store on the disk, and what it has promised.

    Attributes:
        promised: UID -> states of which one has to be found after a cut; ABSENT for no record.
        told: the same after a kill, which leaves what the kernel was given.
        ignored: the sync that is not made: in calls of this verb the n-th one.
        syncs: those that were asked for, in the same words.
    """

    mount: CutMount
    promised: dict[str, set[str]] = field(default_factory=dict)
    told: dict[str, set[str]] = field(default_factory=dict)
    store: RecordStore | None = None
    ignored: Sync | None = None
    syncs: list[Sync] = field(default_factory=list)

    def call(self, call: Call) -> None:
        """One call; the promise is made when it returns, and is open while it has not."""
        verb, uid, state = call
        if verb == "start" or self.store is None:
            self.start()
        if verb == "start" or self.store is None:
            return
        after = state or State.ABSENT
        durable = not self._is_intent(uid, state)
        for promises in (self.promised, self.told):
            promises[uid] = promises.get(uid, {State.ABSENT}) | {after}
        self._watch(verb)
        if verb == "save":
            self.store.save(_record(uid, state))
        else:
            self.store.drop(uid)
        self.told[uid] = {after}
        if durable:
            self.promised[uid] = {after}

    def _is_intent(self, uid: str, state: str) -> bool:
        """Whether a cut may take a save: the end of a claim that is about to go, or the start of one that is new."""
        return state == State.UNPREPARING or (state == State.PREPARING and self._done(uid) == State.ABSENT)

    def _done(self, uid: str) -> str:
        """What the durable file says, whatever is intended."""
        path = Path(self.folder, f"{uid}.json")
        return decode_record(path.read_bytes()).state if path.exists() else State.ABSENT

    @property
    def folder(self) -> str:
        """Of the records."""
        return f"{self.mount.path}/plugins/gpu.amd.com/claims"

    def start(self) -> None:
        """A new process. It finds what the last one was told is there, and acts on it."""
        self._watch("start")
        self.store = RecordFiles(self.folder)
        found = {record.uid: record.state for record in _load(self.store)}
        states = {uid: found.get(uid, State.ABSENT) for uid in self.told}
        assert [uid for uid, state in states.items() if state not in self.told[uid]] == []
        self.told = {uid: {state} for uid, state in states.items()}
        self.promised = {uid: {state, self._done(uid)} for uid, state in states.items()}

    def _watch(self, verb: str) -> None:
        count = itertools.count(1)

        def ignores(_path: str) -> bool:
            self.syncs.append((verb, next(count)))
            return self.syncs[-1] == self.ignored

        self.mount.disk.ignores = ignores

    def find_broken(self) -> list[str]:
        """After a cut: which promises are not kept, and what is there that was never written."""
        self.mount.disk.ignores = lambda _path: False
        store = RecordFiles(self.folder)
        found = {record.uid: record for record in _load(store)}
        broken = []
        for uid, states in self.promised.items():
            record = found.pop(uid, None)
            state = State.ABSENT if record is None else record.state
            if state not in states or (record is not None and record != _record(uid, state)):
                broken.append(f"{uid}: promised {sorted(states)}, found {record}")
        broken += [f"{uid}: of nobody" for uid in found]
        files = (path for path, data in self.mount.disk.tree().items() if data is not None)
        broken += [f"{path}: left over" for path in files if not path.endswith((".json", ".intent"))]
        return broken


def _play(mount: CutMount, calls: list[Call], changes: int | None, *, ignored: Sync | None = None) -> Node:
    """Calls on an empty disk, until so many changes were made and the machine stands still."""
    mount.disk.format()
    node = Node(mount, ignored=ignored)
    if changes is not None:
        mount.disk.halt_after(changes)
    for call in calls:
        try:
            node.call(call)
        except (DriverError, OSError):
            assert mount.disk.halted
            break
    return node


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(calls=st.lists(CALLS, min_size=1, max_size=8), data=st.data())
def test_no_cut_breaks_a_promise(mount: CutMount, calls: list[Call], data: st.DataObject) -> None:
    """Cut after any change, with any part of the unsynced lost: what was saved is there whole, what was dropped gone.

    A save or drop that has not returned is there or is not, and nothing else is.
    """
    node = _play(mount, calls, data.draw(st.none() | st.integers(0, 40)))
    for _ in range(2):
        pieces = mount.disk.unsynced
        mount.disk.cut(data.draw(st.lists(st.booleans(), min_size=pieces, max_size=pieces)))
        assert node.find_broken() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
@given(first=st.lists(CALLS, min_size=1, max_size=5), second=st.lists(CALLS, min_size=1, max_size=5), data=st.data())
def test_nor_does_a_cut_after_a_kill(
    mount: CutMount, first: list[Call], second: list[Call], data: st.DataObject
) -> None:
    """What the next process finds of a killed one it acts on: that is durable before it does."""
    node = _play(mount, first, data.draw(st.integers(0, 30)))
    mount.disk.resume()
    node.start()
    for call in second:
        node.call(call)
    pieces = mount.disk.unsynced
    mount.disk.cut(data.draw(st.lists(st.booleans(), min_size=pieces, max_size=pieces)))

    assert node.find_broken() == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=100)
@given(
    calls=st.lists(CALLS, min_size=1, max_size=6),
    number=st.sampled_from([errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES]),
    verb=st.sampled_from(["create", "write", "truncate", "sync", "rename", "unlink"]),
    first_bad=st.integers(0, 6),
    times=st.integers(1, 3),
)
def test_a_fault_is_told_and_costs_no_claim(
    mount: CutMount, calls: list[Call], number: int, verb: str, first_bad: int, times: int
) -> None:
    """A call that meets a bad disk says so, names the folder, and leaves the old or the new; the next one works."""
    node = _play(mount, [("start", "", ""), *calls[:1]], None)
    told: list[str] = []
    for at, call in enumerate(calls):
        if at == first_bad:
            mount.disk.faults.append(Fault(errno=number, verbs=frozenset({verb}), times=times))
        try:
            node.call(call)
        except HostError as error:
            told.append(str(error))
            mount.disk.faults.clear()
    assert all(str(mount.path) in text and os.strerror(number) in text for text in told)
    mount.disk.faults.clear()
    pieces = mount.disk.unsynced
    mount.disk.cut([True] * pieces)
    assert node.find_broken() == []


# One of every kind: a new record, one that replaces another, one that goes.
LIFE: list[Call] = [("save", "a", State.PREPARING), ("save", "a", State.READY), ("save", "b", State.READY)]
LIFE += [("save", "a", State.UNPREPARING), ("drop", "a", "")]


def _cuts(pieces: int) -> Iterator[list[bool]]:
    """All lost, all kept, one lost, one kept."""
    for most in (False, True):
        yield [most] * pieces
        for one in range(pieces):
            yield [most] * one + [not most] + [most] * (pieces - one - 1)


def _find_broken(mount: CutMount, ignored: Sync | None) -> list[str]:
    """The promises that some cut breaks, at the end of some call, or at a start after a kill in it."""
    changes = len(_play(mount, LIFE, None).mount.disk.changes)

    def ended(calls: int) -> Callable[[], Node]:
        return lambda: _play(mount, LIFE[:calls], None, ignored=ignored)

    def killed(after: int) -> Callable[[], Node]:
        def play() -> Node:
            node = _play(mount, LIFE, after, ignored=ignored)
            mount.disk.resume()
            node.start()
            return node

        return play

    for play in itertools.chain(map(ended, range(len(LIFE) + 1)), map(killed, range(changes))):
        play()
        for kept in _cuts(mount.disk.unsynced):
            node = play()
            mount.disk.cut(kept)
            if broken := node.find_broken():
                return broken
    return []


def test_every_sync_is_needed(mount: CutMount) -> None:
    """With all of them no cut breaks a promise of a claim's life; without any one of them one does, at every sync."""
    assert _find_broken(mount, None) == []
    kinds = sorted(set(_play(mount, LIFE, None).syncs))

    assert {verb for verb, _ in kinds} == {"start", "save", "drop"}
    assert [kind for kind in kinds if not _find_broken(mount, kind)] == []

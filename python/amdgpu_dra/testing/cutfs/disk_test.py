"""The disk that loses power, through a real mount: files as everywhere, and what a cut takes."""

import errno
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from amdgpu_dra.testing.cutfs import CutDisk, CutMount, Fault, Stop, cut_mount

NAMES = st.sampled_from(["a", "b", "c"])
STEPS = st.lists(
    st.tuples(st.just("write"), NAMES, st.binary(max_size=200))
    | st.tuples(st.just("sync"), NAMES, st.none())
    | st.tuples(st.just("rename"), NAMES, NAMES)
    | st.tuples(st.just("unlink"), NAMES, st.none())
    | st.tuples(st.just("sync folder"), NAMES, st.none()),
    max_size=12,
)


@pytest.fixture(name="mount", scope="module")
def _mount() -> Iterator[CutMount]:
    with cut_mount() as mount:
        yield mount


@pytest.fixture(name="folder")
def _folder(mount: CutMount) -> Path:
    mount.disk.format()
    return mount.path


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _do(folder: Path, step: tuple[str, str, object]) -> str:
    """A step on a real folder; the name of its error, or nothing."""
    verb, name, more = step
    try:
        match verb, more:
            case "write", bytes():
                (folder / name).write_bytes(more)
            case "sync", None:
                _sync(folder / name)
            case "rename", str():
                (folder / name).rename(folder / more)
            case "unlink", None:
                (folder / name).unlink()
            case _:
                _sync(folder)
    except OSError as error:
        return errno.errorcode[error.errno or 0]
    return ""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(steps=STEPS)
def test_it_is_a_file_system(
    mount: CutMount, tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, str, object]]
) -> None:
    """Until the power is cut, whatever is done leads to the files and errors of any other file system."""
    mount.disk.format()
    other = tmp_path_factory.mktemp("other")

    assert [_do(other, step) for step in steps] == [_do(mount.path, step) for step in steps]
    expected = {f"/{path.name}": path.read_bytes() for path in other.iterdir()}
    assert expected == {f"/{path.name}": path.read_bytes() for path in mount.path.iterdir()} == mount.disk.tree()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(steps=STEPS, data=st.data())
def test_what_was_synced_stays(mount: CutMount, steps: list[tuple[str, str, object]], data: st.DataObject) -> None:
    """With all kept nothing changes by a cut; after a sync of every file and folder no cut takes anything."""
    mount.disk.format()
    for step in steps:
        _do(mount.path, step)
    before = mount.disk.tree()
    mount.disk.cut([True] * mount.disk.unsynced)
    assert before == mount.disk.tree()

    for step in steps:
        _do(mount.path, step)
    for path in [*mount.path.iterdir(), mount.path]:
        _sync(path)
    before = mount.disk.tree()
    pieces = mount.disk.unsynced
    mount.disk.cut(data.draw(st.lists(st.booleans(), min_size=pieces, max_size=pieces)))
    assert before == mount.disk.tree()


def test_bytes_and_names_are_lost_apart(mount: CutMount, folder: Path) -> None:
    """A synced file is gone without a sync of its folder; a file whose folder alone was synced is empty."""
    (folder / "a").write_bytes(b"x")
    _sync(folder / "a")
    mount.disk.cut([False] * mount.disk.unsynced)
    assert mount.disk.tree() == {}

    (folder / "a").write_bytes(b"x")
    _sync(folder)
    mount.disk.cut([False] * mount.disk.unsynced)
    assert mount.disk.tree() == {"/a": b""}


def test_a_rename_is_two_changes(mount: CutMount, folder: Path) -> None:
    """The new name may be there without the old one having gone, and the other way round."""
    seen = []
    for kept in ([False, False], [False, True], [True, False], [True, True]):
        mount.disk.format()
        (folder / "a").write_bytes(b"x")
        _sync(folder / "a")
        _sync(folder)
        (folder / "a").rename(folder / "b")
        mount.disk.cut(kept)
        seen.append(sorted(mount.disk.tree()))

    assert seen == [["/a"], [], ["/a", "/b"], ["/b"]]


def test_a_write_may_be_there_in_part(mount: CutMount, folder: Path) -> None:
    """A sector in the middle is lost alone."""
    (folder / "a").touch()
    _sync(folder)
    (folder / "a").write_bytes(b"x" * 192)
    mount.disk.cut([True, False, True])

    assert mount.disk.tree() == {"/a": b"x" * 64 + bytes(64) + b"x" * 64}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EIO, errno.EACCES], ids=errno.errorcode.get)
@pytest.mark.parametrize("verb", ["create", "write", "sync", "rename", "unlink", "mkdir"])
def test_a_fault_is_of_its_verb_and_path(mount: CutMount, folder: Path, verb: str, number: int) -> None:
    """It comes so often as it was asked for, for its path alone, and nothing is done."""

    def touch(name: str) -> None:
        match verb:
            case "create":
                (folder / name).touch()
            case "write":
                handle = os.open(folder / name, os.O_WRONLY)
                try:
                    os.write(handle, b"y")
                finally:
                    os.close(handle)
            case "sync":
                _sync(folder / name)
            case "rename":
                (folder / name).rename(folder / f"{name}-new")
            case "unlink":
                (folder / name).unlink()
            case _:
                (folder / name).mkdir()

    if verb not in ("create", "mkdir"):
        for name in "ab":
            (folder / name).write_bytes(b"x")
    before = mount.disk.tree()
    mount.disk.faults.append(Fault(errno=number, verbs=frozenset({verb}), path="/a*", times=1))

    with pytest.raises(OSError, check=lambda error: error.errno == number):
        touch("a")
    assert before == mount.disk.tree()
    touch("b")
    touch("a")


def test_a_disk_gets_full(mount: CutMount, folder: Path) -> None:
    """The last write is short, the next one fails; room comes back with a file that goes."""
    mount.disk.capacity = 10
    handle = os.open(folder / "a", os.O_WRONLY | os.O_CREAT)
    try:
        assert os.write(handle, b"x" * 8) == 8
        assert os.write(handle, b"x" * 8) == 2
        with pytest.raises(OSError, match="No space left"):
            os.write(handle, b"x")
    finally:
        os.close(handle)
    (folder / "a").unlink()
    (folder / "b").write_bytes(b"x" * 10)


@pytest.mark.parametrize("after", [False, True])
def test_who_asks_is_killed_before_or_after_a_change(mount: CutMount, folder: Path, *, after: bool) -> None:
    """The n-th change of a process is the last thing that it asks for; then nothing works until the disk resumes."""
    mount.kill_callers()
    mount.disk.stop = Stop(number=2, after=after)
    program = f"import os; [os.mkdir(f'{folder}/{{n}}') for n in range(4)]"
    ended = subprocess.run([sys.executable, "-c", program], check=False).returncode
    mount.disk.on_stop(lambda: None)

    assert ended == -9
    with pytest.raises(OSError, match="Input/output"):
        (folder / "x").mkdir()
    mount.disk.resume()
    assert list(mount.disk.tree()) == (["/0", "/1"] if after else ["/0"])
    assert [(change.verb, change.path) for change in mount.disk.changes] == [
        ("mkdir", f"/{n}") for n in range(2 if after else 1)
    ]


def test_sockets_can_be_bound_there(mount: CutMount, folder: Path) -> None:
    """A plugin's folder holds its socket."""
    program = f"import socket; s = socket.socket(socket.AF_UNIX); s.bind('{folder}/s'); s.listen(); "
    program += f"c = socket.socket(socket.AF_UNIX); c.connect('{folder}/s'); s.accept()"
    subprocess.run([sys.executable, "-c", program], check=True)

    assert stat.S_ISSOCK(mount.disk.find("/s").mode)


def test_an_ignored_sync_says_that_it_was_made() -> None:
    """Only those that are meant; the others are made."""
    disk = CutDisk()
    disk.ignores = lambda path: path == "/"
    disk.make("mkdir", "/a", stat.S_IFDIR)
    disk.sync("/", disk.find("/"))
    disk.cut([False])
    assert list(disk.tree()) == []

    disk.ignores = lambda path: path != "/"
    disk.make("mkdir", "/a", stat.S_IFDIR)
    disk.sync("/", disk.find("/"))
    disk.cut([])
    assert list(disk.tree()) == ["/a"]

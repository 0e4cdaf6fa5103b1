"""What is kept between commands: read as it was written, refused where it is spoiled, and whose process it means."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from harness.host import Pieces
from harness.process import Lab, Process
from harness.state import Installation, Place, State, StateError, decode, encode, list_places
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.errors import UsageError

_TEXT = st.text(max_size=8)
_TEXTS = st.lists(_TEXT, max_size=3).map(tuple)
_PROCESSES = st.builds(Process, pid=st.integers(1), start=st.integers(0), boot=_TEXT)
STATES = st.builds(
    State,
    name=_TEXT,
    way=_TEXT,
    ready=st.booleans(),
    pieces=st.builds(Pieces, **{field.name: _TEXT for field in fields(Pieces)}),
    fleet=_TEXT,
    lab=st.none() | st.builds(Lab, outer=_PROCESSES, inner=_PROCESSES, cgroup=_TEXT),
    images=_TEXTS,
    installation=st.none()
    | st.builds(Installation, fleet=_TEXT, kernel=st.booleans(), namespaces=_TEXTS, image=_TEXT, done=st.booleans()),
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)
SAMPLE = State(
    name="a",
    way="podman",
    ready=True,
    pieces=Pieces(provider="podman", helm="/h", kubectl="/k"),
    lab=Lab(outer=Process(pid=1, start=2, boot="b"), inner=Process(pid=3, start=4, boot="b"), cgroup="c"),
    installation=Installation(fleet="f", kernel=False, namespaces=("n",), image="i:t", done=True),
)


@pytest.fixture(name="place")
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A place whose folder is not there yet."""
    monkeypatch.setenv("AMDGPU_DRA_CACHE", str(tmp_path))
    return Place("one")


@given(STATES)
def test_a_state_is_read_as_it_was_written(state: State) -> None:
    """Whatever its texts are."""
    assert decode(encode(state)) == state


def _paths(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every field of a document, those of its objects included."""
    for name, inner in value.items():
        yield (*path, name)
        if isinstance(inner, dict):
            yield from _paths(inner, (*path, name))


_DOCUMENT = json.loads(encode(SAMPLE))


@given(st.sampled_from(sorted(_paths(_DOCUMENT))), _JSON)
def test_a_spoiled_field_is_refused_or_read(path: tuple[str, ...], value: Any) -> None:
    """Any value in the place of any field: a StateError, or a state that has exactly this value."""
    document = json.loads(encode(SAMPLE))
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = value
    try:
        state = decode(json.dumps(document))
    except StateError:
        return
    assert json.loads(encode(state)) == document


@pytest.mark.parametrize("path", sorted(_paths(_DOCUMENT)), ids=".".join)
def test_a_field_of_another_type_is_named(path: tuple[str, ...]) -> None:
    """The message has the field's path."""
    document = json.loads(encode(SAMPLE))
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = [{"a": 1}]

    with pytest.raises(StateError) as refused:
        decode(json.dumps(document))
    assert path[-1] in str(refused.value)


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "null", "{}", '{"version": 2}', "[" * 100_000])
def test_what_is_no_state_is_refused(text: str) -> None:
    """Half a file, another version, too deep."""
    with pytest.raises(StateError):
        decode(text)


def test_a_process_that_took_the_id_is_another() -> None:
    """The same id with another start, or of another boot, is not alive, and is not killed."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        found = Process.of(child.pid)
        assert found.is_alive()
        for other in (replace(found, start=found.start - 1), replace(found, boot="another")):
            assert not other.is_alive()
            other.kill()
        assert child.poll() is None
        found.kill()
        assert child.wait() == -signal.SIGKILL
        assert not found.is_alive()


def test_an_ended_process_that_nobody_has_waited_for_is_not_alive() -> None:
    """It still has its id; and an id that nobody has is no error."""
    with subprocess.Popen(["true"]) as child:
        found = Process.of(child.pid)
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not found.is_alive()
    assert not found.is_alive()
    found.kill()


def test_a_write_that_was_cut_leaves_the_old_state(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is another at once, or as it was."""
    place.folder.mkdir(parents=True)
    place.write(SAMPLE)
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        place.write(replace(SAMPLE, ready=False))

    assert place.read() == SAMPLE


def test_one_command_at_a_time(place: Place) -> None:
    """Another that works with the same cluster is refused; one with another cluster is not."""
    with (
        place.taken(),
        Place("two").taken(),
        pytest.raises(UsageError, match="no other command"),
        Place("one").taken(),
    ):
        pass
    with place.taken():
        pass


def test_a_place_in_which_nothing_was_kept_is_gone(place: Place, tmp_path: Path) -> None:
    """Looking for a cluster leaves no folder."""
    with place.taken():
        assert list_places() == ["one"]

    assert list(tmp_path.iterdir()) == []


def test_a_removed_place_leaves_nothing(place: Place, tmp_path: Path) -> None:
    """Files, folders and links in it go; what a link leads to stays."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    with place.taken():
        place.write(SAMPLE)
        (place.folder / "trees" / "a").mkdir(parents=True)
        (place.folder / "link").symlink_to(tmp_path / "elsewhere")
        place.remove()

    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]
    assert (tmp_path / "elsewhere" / "file").exists()


@pytest.mark.parametrize("name", ["", "A", "a/b", "..", "-a", "a-", "a" * 31, "a b"])
def test_what_is_no_name_is_refused(name: str) -> None:
    """A name becomes a folder, a kind cluster and a node."""
    with pytest.raises(UsageError, match="--name"):
        Place(name)

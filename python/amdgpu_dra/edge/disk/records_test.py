"""Records that are not as they were written: whatever lies in the folder, it harms no other record."""

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.checkpoint import HeldDevice, Loaded, Record, State, decode_record, encode_record
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.edge.disk import RecordFiles
from amdgpu_dra.edge.disk.aside import drop_oldest, set_aside


def _record(uid: str) -> Record:
    device = HeldDevice(request="r", pool="n", device=f"gpu-{uid}")
    return Record(uid=uid, namespace="ns", name="c", state=State.READY, boot_id="b", devices=(device,))


@pytest.fixture(name="store")
def _store(tmp_path: Path) -> RecordFiles:
    """A folder with the records a and b."""
    store = RecordFiles(str(tmp_path / "claims"), writer="0.9.0")
    store.load()
    for uid in ("a", "b"):
        store.save(_record(uid))
    return store


def _names(store: RecordFiles) -> list[str]:
    return sorted(os.listdir(store.folder))


def _lost(loaded: Loaded) -> list[str]:
    return [item.uid for item in loaded.lost]


def test_the_folder_is_made_and_empty_is_told(tmp_path: Path) -> None:
    """Nothing is made before it is loaded; a folder without any record is told apart from one with lost records."""
    store = RecordFiles(str(tmp_path / "gpu.amd.com" / "claims"))
    assert not (tmp_path / "gpu.amd.com").exists()

    assert store.load() == Loaded(empty=True)
    (tmp_path / "gpu.amd.com" / "claims" / "a.json").write_text("no")
    assert not store.load().empty


def test_a_record_names_its_writer(store: RecordFiles) -> None:
    """The version that saved it last."""
    assert [record.writer for record in store.load().records] == ["0.9.0", "0.9.0"]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[20] ^= 1
    path.write_bytes(data)


def _grow(path: Path) -> None:
    os.truncate(path, 1 << 30)


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").write_text("x")


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".elsewhere"))
    path.symlink_to(path.with_suffix(".elsewhere"))


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _another(path: Path) -> None:
    path.write_bytes(encode_record(_record("b")))


def _empty(path: Path) -> None:
    path.write_bytes(b"")


HARMS = pytest.mark.parametrize("harm", [_cut, _flip, _grow, _folder, _link, _pipe, _another, _empty])


@HARMS
def test_what_is_no_record_is_lost_until_it_is_made_anew(store: RecordFiles, harm: Callable[[Path], None]) -> None:
    """It is told by every process and harms no other; the save that makes it anew keeps it under another name."""
    path = Path(store.folder, "a.json")
    harm(path)
    for loaded in (store.load(), RecordFiles(store.folder).load()):
        assert loaded.records == (replace(_record("b"), writer="0.9.0"),)
        assert _lost(loaded) == ["a"]
        assert os.path.lexists(path)
    store.save(_record("a"))

    assert os.path.lexists(f"{path}.corrupt")
    assert [record.uid for record in store.load().records] == ["a", "b"]
    assert store.load().lost == ()


@HARMS
def test_what_is_no_record_is_kept_when_its_claim_is_dropped(store: RecordFiles, harm: Callable[[Path], None]) -> None:
    """The claim is over and its file is not thrown away."""
    path = Path(store.folder, "a.json")
    harm(path)
    store.load()
    store.drop("a")

    assert (os.path.lexists(path), os.path.lexists(f"{path}.corrupt")) == (False, True)
    assert store.load().lost == ()


def test_a_second_corruption_keeps_the_first(store: RecordFiles) -> None:
    """Each has a name of its own, with what was in it."""
    for text in ("first", "second", "third"):
        Path(store.folder, "a.json").write_text(text)
        store.load()
        store.save(_record("a"))

    found = {name: Path(store.folder, name).read_text() for name in _names(store) if "corrupt" in name}
    assert found == {"a.json.corrupt": "first", "a.json.corrupt.1": "second", "a.json.corrupt.2": "third"}


@pytest.mark.parametrize("name", ["not a uid", "-x", "ü" * 120, "x" * 250])
def test_a_name_that_is_no_uid_is_told(store: RecordFiles, name: str) -> None:
    """Even a record that is right: no claim could ever be told by it."""
    path = os.fsencode(f"{store.folder}/{name}.json")
    with open(path, "wb") as file:
        file.write(encode_record(_record(name)))
    loaded = store.load()

    assert len(loaded.records) == 2
    assert [item.why for item in loaded.lost] == ["its name is no claim's UID"]


def test_the_longest_name_is_cut(store: RecordFiles) -> None:
    """What a disk takes as a name is more than it takes with something behind it; bytes in no encoding are a name."""
    for name in (b"x" * 250 + b".json", b"\xff" * 250 + b".json"):
        with open(os.fsencode(store.folder) + b"/" + name, "wb"):
            pass
        to = set_aside(store.folder, os.fsdecode(name))

        assert os.fsencode(to) == name[:200] + b".corrupt"
        assert repr(to).isprintable()


def test_a_newer_record_stays_and_harms_no_other(store: RecordFiles) -> None:
    """It is loaded as one that is not known, under the claim of its file, and not a byte is changed."""
    raw = json.loads(encode_record(_record("a")).splitlines()[0]) | {"version": 2, "writer": "9.1.0"}
    data = _signed(raw)
    Path(store.folder, "a.json").write_bytes(data)
    newer, other = store.load().records

    assert (newer.uid, newer.state, newer.writer) == ("a", State.NEWER, "9.1.0 (version 2)")
    assert [device.device for device in newer.devices] == ["gpu-a"]
    assert other.uid == "b"
    assert Path(store.folder, "a.json").read_bytes() == data


def _signed(raw: object) -> bytes:
    body = json.dumps(raw).encode()
    return body + b"\n" + hashlib.sha256(body).hexdigest().encode() + b"\n"


def test_fields_of_a_newer_driver_outlive_a_save(store: RecordFiles) -> None:
    """What is loaded and saved in another state has on disk all that it had."""
    raw = json.loads(encode_record(_record("a")).splitlines()[0]) | {"added": [1, {"x": None}]}
    raw["devices"][0]["slot"] = 7
    Path(store.folder, "a.json").write_bytes(_signed(raw))
    (record, _) = store.load().records
    for state, end in ((State.UNPREPARING, "intent"), (State.READY, "json")):
        store.save(replace(record, state=state))

        written = json.loads(Path(store.folder, f"a.{end}").read_bytes().splitlines()[0])
        assert written == raw | {"state": state, "writer": "0.9.0"}


def test_a_record_that_cannot_be_read_stays(store: RecordFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the disk is no reason to touch the file: it is told as lost, and the others are loaded."""
    read = os.open

    def fail(path: str, *arguments: int) -> int:
        if path.endswith("/a.json"):
            raise OSError(5, "Input/output error", path)
        return read(path, *arguments)

    monkeypatch.setattr("os.open", fail)
    loaded = store.load()
    monkeypatch.undo()

    assert [record.uid for record in loaded.records] == ["b"]
    (lost,) = loaded.lost
    assert (lost.uid, lost.why) == ("a", "it cannot be read: Input/output error")
    assert _names(store) == ["a.json", "b.json"]


def test_a_folder_that_cannot_be_read_is_a_clear_error(tmp_path: Path) -> None:
    """Nothing is known then, and nothing is made in its place."""
    (tmp_path / "file").write_text("")

    with pytest.raises(HostError, match=r"claim records .*file/claims: expected to read it, found Not a directory"):
        RecordFiles(str(tmp_path / "file" / "claims")).load()


def test_a_folder_that_is_removed_is_made_again(store: RecordFiles) -> None:
    """A save in a folder that is no more has its folder, and a drop has nothing to do."""
    for name in _names(store):
        os.unlink(f"{store.folder}/{name}")
    os.rmdir(store.folder)
    store.drop("a")
    store.save(_record("b"))

    assert [record.uid for record in store.load().records] == ["b"]


def test_what_was_set_aside_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the oldest goes; what is no file stays."""
    monkeypatch.setattr("amdgpu_dra.edge.disk.aside._MOST", 3)
    (tmp_path / "folder.json").mkdir()
    last = tmp_path / set_aside(str(tmp_path), "folder.json")
    for number in range(5):
        (tmp_path / f"{number}.json").write_text("")
        aside = tmp_path / set_aside(str(tmp_path), f"{number}.json")
        # A file system's clock may stand still for longer than this takes.
        while aside.stat().st_ctime_ns == last.stat().st_ctime_ns:
            aside.chmod(0o600)
        last = aside
    drop_oldest(str(tmp_path))

    assert sorted(os.listdir(tmp_path)) == [f"{start}.json.corrupt" for start in ("2", "3", "4", "folder")]


def _states(store: RecordFiles) -> dict[str, str]:
    """What another process finds."""
    return {record.uid: record.state for record in RecordFiles(store.folder).load().records}


def test_a_claims_life_in_files(store: RecordFiles) -> None:
    """An intent has a file of its own, and goes with the end of what was intended."""
    life: list[tuple[str, list[str]]] = [
        (State.PREPARING, ["c.intent"]),
        (State.READY, ["c.json"]),
        (State.UNPREPARING, ["c.intent", "c.json"]),
        # Another device may have been allocated meanwhile: the record of the old one goes, durably.
        (State.PREPARING, ["c.json"]),
        (State.UNPREPARING, ["c.intent", "c.json"]),
    ]
    for state, names in life:
        store.save(replace(_record("c"), state=state))
        assert [name for name in _names(store) if name.startswith("c")] == names
        assert _states(store)["c"] == state
    store.drop("c")

    assert _names(store) == ["a.json", "b.json"]


@pytest.mark.parametrize("harm", [_cut, _flip, _empty, _folder, _pipe])
def test_a_torn_intent_is_none(store: RecordFiles, harm: Callable[[Path], None]) -> None:
    """A power cut tears what was not durable, and takes what was begun: the claim is as it was before."""
    for uid in ("b", "c"):
        store.save(replace(_record(uid), state=State.UNPREPARING))
        harm(Path(store.folder, f"{uid}.intent"))

    assert _states(store) == {"a": State.READY, "b": State.READY}
    assert store.load().lost == ()


def test_an_intent_that_the_disk_does_not_give_is_told(store: RecordFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing says that it was torn; the claim may have devices."""
    store.save(replace(_record("c"), state=State.PREPARING))
    status = os.lstat

    def fail(path: str) -> os.stat_result:
        if path.endswith("/c.intent"):
            raise OSError(5, "Input/output error", path)
        return status(path)

    monkeypatch.setattr("os.lstat", fail)
    loaded = store.load()
    monkeypatch.undo()

    assert [(item.uid, item.file) for item in loaded.lost] == [("c", f"{store.folder}/c.intent")]


def test_a_newer_intent_holds_its_devices(store: RecordFiles) -> None:
    """A newer driver was killed while it prepared: the claim is one that this driver does not know."""
    raw = json.loads(encode_record(replace(_record("c"), state=State.PREPARING)).splitlines()[0])
    Path(store.folder, "c.intent").write_bytes(_signed(raw | {"version": 2}))
    found = store.load().records[-1]

    assert (found.uid, found.state, [device.device for device in found.devices]) == ("c", State.NEWER, ["gpu-c"])


def test_intents_that_are_over_are_swept(store: RecordFiles) -> None:
    """Torn ones, and one to prepare beside its record, unless its claim is in work; one that goes on stays."""
    for name, state in (("a", State.PREPARING), ("b", State.UNPREPARING), ("c", State.PREPARING)):
        Path(store.folder, f"{name}.intent").write_bytes(encode_record(replace(_record(name), state=state)))
    for name in ("torn", "work"):
        Path(store.folder, f"{name}.intent").touch()
    store.sweep(lambda uid: uid != "work")

    assert [name for name in _names(store) if "intent" in name] == ["b.intent", "c.intent", "work.intent"]


def test_an_intent_to_prepare_gives_way_to_the_record(store: RecordFiles) -> None:
    """A kill may leave both: the record is the younger one."""
    intent = encode_record(replace(_record("a"), state=State.PREPARING))
    Path(store.folder, "a.intent").write_bytes(intent)

    assert _states(store)["a"] == State.READY


@pytest.fixture(name="synced")
def _synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files and folders in the order in which they are made durable."""
    found = list[str]()
    fsync = os.fsync

    def note(handle: int) -> None:
        found.append(os.readlink(f"/proc/self/fd/{handle}"))
        fsync(handle)

    monkeypatch.setattr("os.fsync", note)
    return found


def test_names_of_folders_are_made_durable(tmp_path: Path, synced: list[str]) -> None:
    """A power cut after the first record may not take the folder, or the one around it; once is enough."""
    store = RecordFiles(str(tmp_path / "gpu.amd.com" / "claims"))
    store.load()
    store.load()

    folders = [tmp_path / "gpu.amd.com" / "claims", tmp_path / "gpu.amd.com", tmp_path]
    assert synced[:3] == [str(folder) for folder in folders]
    assert len(synced) == len(set(synced))


def test_what_was_set_aside_is_durable_before_its_name_is_taken(store: RecordFiles, synced: list[str]) -> None:
    """A power cut after a save or a drop may not take the damaged file."""
    acts: list[Callable[[], None]] = [lambda: store.save(_record("a")), lambda: store.drop("a")]
    for act in acts:
        Path(store.folder, "a.json").write_text("")
        store.load()
        synced.clear()
        act()
        assert synced[0] == synced[-1] == store.folder


@given(st.dictionaries(st.sampled_from(["a.json", "b.json", "a.json.corrupt", "x"]), st.binary(max_size=80)))
def test_any_files_are_survived(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> None:
    """Whatever bytes lie there: one good record is loaded, and nothing of the others is changed."""
    folder = tmp_path_factory.mktemp("claims")
    for name, data in files.items():
        (folder / name).write_bytes(data)
    store = RecordFiles(str(folder))
    store.save(_record("good"))
    loaded = store.load()

    assert loaded.records == (_record("good"),)
    assert sorted(_lost(loaded)) == sorted(name[0] for name in files if name.endswith(".json"))
    assert files.items() <= {path.name: path.read_bytes() for path in folder.iterdir()}.items()
    assert decode_record((folder / "good.json").read_bytes()) == _record("good")


@pytest.mark.parametrize("act", ["save", "drop"])
def test_what_was_set_aside_before_a_kill_is_not_set_aside_again(tmp_path: Path, act: str) -> None:
    """A kill between the new name and the end of the old one leaves one file by two names; it stays one."""
    store = RecordFiles(str(tmp_path))
    (tmp_path / "a.json").write_text("torn")
    (tmp_path / "a.json.corrupt").hardlink_to(tmp_path / "a.json")
    store.load()

    if act == "save":
        store.save(_record("a"))
    else:
        store.drop("a")

    assert {path.name for path in tmp_path.iterdir()} - {"a.json"} == {"a.json.corrupt"}
    assert (tmp_path / "a.json").exists() is (act == "save")
    assert (tmp_path / "a.json.corrupt").read_text() == "torn"

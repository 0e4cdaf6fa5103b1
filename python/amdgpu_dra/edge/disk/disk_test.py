"""Records and documents on a real disk."""

import json
from pathlib import Path

import pytest

from amdgpu_dra.agent.ports import CdiFolder, RecordStore
from amdgpu_dra.api.checkpoint import HeldDevice, Record, State
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.cdi import encode_spec
from amdgpu_dra.edge.disk import CdiDirectory, RecordFiles
from amdgpu_dra.testing.fakes import MemoryCdi, MemoryRecords


def _record(uid: str, state: str = State.READY) -> Record:
    device = HeldDevice(request="r", pool="n", device="gpu-0")
    return Record(uid=uid, namespace="ns", name="c", state=state, boot_id="b", devices=(device,))


@pytest.fixture(name="store", params=["memory", "disk"])
def _store(request: pytest.FixtureRequest, tmp_path: Path) -> RecordStore:
    """Both fulfil the port in the same way."""
    return MemoryRecords() if request.param == "memory" else RecordFiles(str(tmp_path / "claims"))


@pytest.fixture(name="folder", params=["memory", "disk"])
def _folder(request: pytest.FixtureRequest, tmp_path: Path) -> CdiFolder:
    """Both fulfil the port in the same way."""
    return MemoryCdi() if request.param == "memory" else CdiDirectory(str(tmp_path / "cdi"))


def test_store_keeps_replaces_and_forgets(store: RecordStore) -> None:
    """The newest record of each claim is kept until it is dropped; dropping a stranger does nothing."""
    store.save(_record("a", State.PREPARING))
    store.save(_record("a"))
    store.save(_record("b"))
    store.drop("b")
    store.drop("stranger")

    assert store.load().records == (_record("a"),)


def test_folder_writes_only_what_changes(folder: CdiFolder) -> None:
    """The same document again is left alone; another replaces it; removing a stranger does nothing."""
    assert folder.write("a", {"x": 1})
    assert not folder.write("a", {"x": 1})
    assert folder.write("a", {"x": 2})
    assert folder.claims() == ["a"]
    folder.remove("a")
    folder.remove("stranger")
    assert folder.claims() == []


def test_a_new_process_finds_the_records(tmp_path: Path) -> None:
    """What was saved is on disk; half-written files of a killed process are swept, but for claims in work."""
    RecordFiles(str(tmp_path)).save(_record("a"))
    for uid in ("b", "c"):
        (tmp_path / f".{uid}.json.tmp").write_text("half")
    store = RecordFiles(str(tmp_path))
    store.sweep(lambda uid: uid == "b")

    assert store.load().records == (_record("a"),)
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", ".c.json.tmp"}


def test_documents_of_others_are_left_alone(tmp_path: Path) -> None:
    """Files of other drivers are neither listed nor removed, nor do they disturb."""
    (tmp_path / "vendor.example.org-x.json").write_text("{}")
    folder = CdiDirectory(str(tmp_path))
    folder.write("a", {"x": 1})
    folder.remove("a")

    assert [path.name for path in tmp_path.iterdir()] == ["vendor.example.org-x.json"]


def test_half_documents_of_a_killed_process_are_swept(tmp_path: Path) -> None:
    """A new process removes ours, unless the claim is in work, and no other driver's."""
    (tmp_path / ".k8s.gpu.amd.com-gpu_a.json.tmp").write_text("half")
    (tmp_path / ".k8s.gpu.amd.com-gpu_b.json.tmp").write_text("half")
    (tmp_path / ".vendor.example.org-x.json.tmp").write_text("half")
    CdiDirectory(str(tmp_path)).sweep(lambda uid: uid == "a")

    left = {".k8s.gpu.amd.com-gpu_b.json.tmp", ".vendor.example.org-x.json.tmp"}
    assert {path.name for path in tmp_path.iterdir()} == left


def test_a_document_is_read_as_it_is(folder: CdiFolder) -> None:
    """The bytes that were written; None where there is no document."""
    folder.write("a", {"x": 1})

    assert folder.read("a") == encode_spec({"x": 1})
    assert folder.read("stranger") is None


def test_a_folder_that_was_wiped_has_no_documents(tmp_path: Path) -> None:
    """As after a reboot, with the process alive: no error."""
    folder = CdiDirectory(str(tmp_path / "cdi"))
    (tmp_path / "cdi").rmdir()

    assert folder.claims() == []
    assert folder.read("a") is None


def test_a_lost_folder_is_made_again(tmp_path: Path) -> None:
    """A reboot empties the folder's file system."""
    folder = CdiDirectory(str(tmp_path / "cdi"))
    (tmp_path / "cdi").rmdir()
    folder.write("a", {"x": 1})

    assert json.loads((tmp_path / "cdi" / "k8s.gpu.amd.com-gpu_a.json").read_text()) == {"x": 1}


def test_a_folder_that_cannot_be_is_a_clear_error(tmp_path: Path) -> None:
    """One line: which folder, what was found, what to do."""
    (tmp_path / "file").write_text("")

    with pytest.raises(HostError, match=r"CDI folder .*file/cdi: expected to make it, found Not a directory"):
        CdiDirectory(str(tmp_path / "file" / "cdi"))


def test_a_failed_write_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk is an error, the old record stays, and no temporary file is left."""
    store = RecordFiles(str(tmp_path))
    store.save(_record("a", State.PREPARING))

    def full(_handle: int, _data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.write", full)
    with pytest.raises(HostError, match="No space left on device"):
        store.save(_record("a"))
    monkeypatch.undo()
    assert store.load().records == (_record("a", State.PREPARING),)
    assert [path.name for path in tmp_path.iterdir()] == ["a.intent"]

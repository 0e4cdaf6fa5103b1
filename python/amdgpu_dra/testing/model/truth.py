"""`Truth`: what must hold of a node, whatever befalls it. Looks at the disk and the hardware, never at the plugin."""

import json
from itertools import combinations, product
from typing import Any

from amdgpu_dra.api.checkpoint import CorruptRecordError, NewerRecordError, Record, State, decode_record
from amdgpu_dra.core.gpu import Gpu, PciAddress
from amdgpu_dra.testing.model.disk import Disk
from amdgpu_dra.testing.model.forms import ADDED, in_form
from amdgpu_dra.testing.model.kernel import Hardware
from amdgpu_dra.testing.model.kubelet import Story, exclude, gpu_and_mode


class Truth:
    """What is so, and what must be.

    Attributes:
        stories: every claim that there ever was, by UID.
        broken: what was seen not to hold within a task of the plugin, which would take the error for its own.
    """

    def __init__(self, disk: Disk, hardware: Hardware) -> None:
        self._disk, self._hardware = disk, hardware
        self.stories: dict[str, Story] = {}
        self.broken: list[BaseException] = []
        hardware.writes = self._check_write
        hardware.clashes = lambda address: self.broken.append(AssertionError(f"two write the mode of {address}"))

    def find_record(self, uid: str) -> Record | None:
        """A claim's record as it is on disk; None if there is none that can be read."""
        data = self._disk.read(self._disk.records / f"{uid}.json")
        try:
            return None if data is None else decode_record(data)
        except CorruptRecordError:
            return None
        except NewerRecordError as error:
            return error.record

    def check(self) -> None:
        """After every step: nobody shares what he must not, and who was told that he has something has it."""
        if self.broken:
            raise self.broken[0]
        for story in self.stories.values():
            if story.called and not story.damaged:
                self._check_file(story)
        using = [story for story in self.stories.values() if story.in_use or story.newer is not None]
        for one, other in combinations(using, 2):
            for first, second in product(one.exclusive, other.exclusive):
                assert not exclude(first, second), f"{first} of {one.ref} and {second} of {other.ref}"
        for story in using:
            if story.newer is None and not story.damaged:
                self._check_record(story)

    def _check_file(self, story: Story) -> None:
        """A record as bytes: the driver's own code may be what spoils it."""
        data = self._disk.read(self._disk.records / f"{story.ref.uid}.json")
        if story.newer is not None:
            assert data == in_form(story.newer, "newer"), f"the newer record of {story.ref} was touched: {data!r}"
            return
        kept = [each for each in (data, self._find_intent(story.ref.uid)) if each is not None]
        assert not kept or not story.let_go, f"{story.ref} was unprepared, and has a record"
        added = [f'"{ADDED}"'.encode() in each for each in kept]
        assert all(added) or not story.upgraded, f"what was added to {story.ref} is lost"
        story.upgraded = data is not None and added[0]

    def _find_intent(self, uid: str) -> bytes | None:
        """What is about to be done with a claim; None if nothing is, or a power cut has torn it."""
        data = self._disk.read(self._disk.records / f"{uid}.intent")
        if data is None:
            return None
        try:
            decode_record(data)
        except (CorruptRecordError, NewerRecordError):
            return None
        return data

    def _check_record(self, story: Story) -> None:
        record = self.find_record(story.ref.uid)
        assert record is not None, f"{story.ref} is lost"
        assert record.state == State.READY, f"{story.ref} is {record.state}"
        assert [held.device for held in record.devices] == [item.device for item in story.results or ()]

    def _check_write(self, address: PciAddress, mode: str) -> None:
        """The plugin sets a mode: nobody may be using the GPU in another."""
        board = next(gpu.unique_id for gpu in self._hardware.kernel.fleet.gpus if gpu.address == address)
        for story in self.stories.values():
            for device, _ in story.exclusive if story.in_use else ():
                gpu, wanted = gpu_and_mode(device)
                if gpu == str(address) and story.boards.get(device) == f"{board:016x}" and wanted != mode:
                    self.broken.append(AssertionError(f"{address} is switched to {mode} under {story.ref}"))

    def _find_document(self, story: Story) -> dict[str, Any] | None:
        """Device -> its nodes as a container would get them; None if there is no document."""
        data = self._disk.read(self._disk.cdi / f"k8s.gpu.amd.com-gpu_{story.ref.uid}.json")
        if data is None:
            return None
        document = json.loads(data)
        assert document["kind"] == "k8s.gpu.amd.com/gpu"
        return {device["name"]: device["containerEdits"]["deviceNodes"] for device in document["devices"]}

    def check_document(self, story: Story) -> None:
        """A claim's document is there, and names device nodes of its own devices and no other."""
        document = self._find_document(story)
        assert document is not None, f"{story.ref} has no document"
        gpus = {str(gpu.address): gpu for gpu in self._hardware.inventory.gpus}
        for item, result in zip(story.told, story.results or (), strict=True):
            if not result.admin_access:
                address, _ = gpu_and_mode(item.device)
                (ident,) = item.cdi_ids
                nodes = {(node["path"], node["major"], node["minor"]) for node in document[ident.partition("=")[2]]}
                assert address in gpus, f"the document of {story.ref} names a GPU that is not there"
                self._check_nodes(story, item.device, nodes, gpus[address])

    def _check_nodes(self, story: Story, device: str, nodes: set[tuple[str, int, int]], gpu: Gpu) -> None:
        _, mode = gpu_and_mode(device)
        index = 0 if mode == "SPX" else int(device.rpartition("-")[2])
        # The mode of a GPU in reset cannot be read.
        assert gpu.compute_mode in (mode, None), f"{device} is handed out in {gpu.compute_mode}"
        part = next(part for part in gpu.partitions if part.index == index)
        own = [node for node in (self._hardware.inventory.kfd, part.render, part.card) if node is not None]
        assert nodes == {(f"/dev/{node.path}", node.major, node.minor) for node in own}, device
        assert gpu.unique_id == story.boards[device], f"another GPU is handed out as {device}"

    def check_rest(self) -> None:
        """Some time after everything that happened: a document that is still there is right."""
        for story in self.stories.values():
            if story.in_use and not story.damaged and story.newer is None and self._find_document(story) is not None:
                self.check_document(story)

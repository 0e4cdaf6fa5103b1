"""The node's side: tree, device nodes, records, CDI documents."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from amdgpu_dra.api.checkpoint import Loaded, LostRecord, Record
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.core.cdi import encode_spec
from amdgpu_dra.core.gpu import DeviceNode, Inventory, PciAddress


class FakeTree:
    """An inventory that a test can change."""

    def __init__(self, inventory: Inventory) -> None:
        self.inventory = inventory
        self.reads = 0
        self.held_up: frozenset[PciAddress] = frozenset()

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:  # noqa: ARG002 - modes are always known here
        """See the port."""
        self.reads += 1
        return self.inventory

    async def find_generation(self) -> int | None:
        """See the port."""
        return self.inventory.generation

    async def fingerprint(self, without_modes: frozenset[PciAddress]) -> tuple[str, ...]:  # noqa: ARG002 - as above
        """See the port."""
        return (str(self.inventory.generation), *(f"{gpu.address}={gpu.compute_mode}" for gpu in self.inventory.gpus))


class FakeNodes:
    """Device nodes that are all right, but for those that a test names."""

    def __init__(self) -> None:
        self.missing: set[str] = set()

    def check(self, node: DeviceNode) -> None:
        """See the port."""
        if node.path in self.missing:
            raise HostError(f"device node {node.path}", expected="it", found="nothing", action="make it")


class MemoryRecords:
    """Records; what is in `kept` survives a crash. `before` is called before each change and may raise.

    Attributes:
        lost: records that cannot be read, until their claims are saved or dropped.
        broken: while it is set, nothing can be loaded.
    """

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.kept: dict[str, Record] = {}
        self.before = before
        self.lost: tuple[LostRecord, ...] = ()
        self.broken = False

    def load(self) -> Loaded:
        """See the port."""
        if self.broken:
            raise HostError("records", expected="to read them", found="Input/output error", action="mend the disk")
        return Loaded(records=tuple(self.kept.values()), lost=self.lost, empty=not self.kept and not self.lost)

    def sweep(self, may: Callable[[str], bool]) -> None:
        """See the port; nothing is ever half written."""

    def save(self, record: Record) -> None:
        """See the port."""
        self.before()
        self.kept[record.uid] = record
        self._settle(record.uid)

    def drop(self, uid: str) -> None:
        """See the port."""
        self.before()
        self.kept.pop(uid, None)
        self._settle(uid)

    def _settle(self, uid: str) -> None:
        self.lost = tuple(item for item in self.lost if item.uid != uid)


class MemoryCdi:
    """Documents; see MemoryRecords."""

    def __init__(self, before: Callable[[], None] = lambda: None) -> None:
        self.documents: dict[str, Mapping[str, Any]] = {}
        self.before = before

    def write(self, uid: str, document: Mapping[str, Any]) -> bool:
        """See the port."""
        self.before()
        changed = self.documents.get(uid) != document
        self.documents[uid] = document
        return changed

    def read(self, uid: str) -> bytes | None:
        """See the port."""
        document = self.documents.get(uid)
        return None if document is None else encode_spec(document)

    def remove(self, uid: str) -> None:
        """See the port."""
        self.before()
        self.documents.pop(uid, None)

    def claims(self) -> list[str]:
        """See the port."""
        return list(self.documents)

    def sweep(self, may: Callable[[str], bool]) -> None:
        """See the port; nothing is ever half written."""


class FakeInstances:
    """No other instance, unless a test says so.

    Attributes:
        switching: GPUs that another one switches.
        leads: whether this one has the lead.
    """

    def __init__(self) -> None:
        self.switching = set[PciAddress]()
        self.alone, self.leads, self.others_look = True, True, False

    def lead(self) -> None:
        """See the port."""

    def try_lock(self, key: str) -> bool:  # noqa: ARG002 - nobody else has any
        """See the port."""
        return True

    def unlock(self, key: str) -> None:
        """See the port."""

    def try_switch(self, address: PciAddress) -> bool:
        """See the port."""
        return address not in self.switching

    def end_switch(self, address: PciAddress) -> None:
        """See the port."""

    def find_switching(self) -> frozenset[PciAddress]:
        """See the port."""
        return frozenset(self.switching)

    def begin_look(self) -> None:
        """See the port."""

    def end_look(self) -> None:
        """See the port."""

    def get_version(self) -> bytes:
        """See the port."""
        return b""

    @contextmanager
    def changing(self) -> Iterator[None]:
        """See the port."""
        yield

"""What the agents need of the world, as Protocols. The edge fulfils them; wiring proves the fit to the type checker.

Every method raises only errors of `api/errors`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from amdgpu_dra.api.checkpoint import Loaded, Record
from amdgpu_dra.api.metrics import Metric
from amdgpu_dra.api.resource import Claim, ObjectRef, ResourceSlice, SliceEvent
from amdgpu_dra.core.gpu import DeviceNode, Inventory, PciAddress
from amdgpu_dra.core.switch import KfdProcess, Outcome

__all__ = [
    "CdiFolder",
    "ClaimApi",
    "Clock",
    "DeviceNodes",
    "EventApi",
    "Events",
    "GpuTree",
    "Hotplug",
    "Instances",
    "Metrics",
    "PartitionSwitch",
    "RecordStore",
    "SliceApi",
]


class ClaimApi(Protocol):
    """Claims of the API server."""

    async def get_claim(self, namespace: str, name: str) -> Claim:
        """The claim. Raises ClaimError if there is none, NotReadyError if the server cannot be asked."""
        ...

    async def find_claim(self, namespace: str, name: str) -> Claim | None:
        """The claim, or None if the server has none. Raises ClaimError if it cannot be read, NotReadyError as above."""
        ...

    def list_claims(self) -> AsyncIterator[Claim]:
        """Every claim of the cluster that can be read, by pages.

        Raises HostError if the plugin has no right to, NotReadyError as above.
        """
        ...


class SliceApi(Protocol):
    """Our slices of this node. Every method raises NotReadyError if the server cannot be asked."""

    async def get_node_uid(self) -> str:
        """The UID of this node's object."""
        ...

    async def get_version(self) -> str:
        """The server's version, `v1.37.1`; empty if it states none."""
        ...

    async def try_slice(self, item: ResourceSlice) -> ResourceSlice | None:
        """The slice as it would be stored, and is not; None if the server finds it invalid."""
        ...

    async def list_slices(self) -> tuple[list[ResourceSlice], str]:
        """All of them, and the version of the list."""
        ...

    async def create_slice(self, item: ResourceSlice) -> ResourceSlice:
        """Creates one, and gives it as it was stored."""
        ...

    async def update_slice(self, item: ResourceSlice) -> ResourceSlice:
        """Replaces one; refused if it has changed since it was read."""
        ...

    async def delete_slice(self, item: ResourceSlice) -> None:
        """Deletes exactly this one, if it is still there."""
        ...

    def watch_slices(self, version: str, seconds: int) -> AsyncGenerator[SliceEvent]:
        """What happens to them after `version`, for so many seconds or until the server ends it."""
        ...


class GpuTree(Protocol):
    """The node's GPUs. One whose mode the kernel does not tell holds up no reading for more than a second."""

    @property
    def held_up(self) -> frozenset[PciAddress]:
        """GPUs whose modes are missing in the last inventory: the kernel did not tell them, since somebody switches."""
        ...

    async def read_inventory(self, *, without_modes: frozenset[PciAddress] = frozenset()) -> Inventory:
        """As they are now; the compute modes of some GPUs are not read. Raises HostError if there is no tree."""
        ...

    async def find_generation(self) -> int | None:
        """KFD's count of nodes that came and went; None if it cannot be read. Never waits for a GPU."""
        ...

    async def fingerprint(self, without_modes: frozenset[PciAddress]) -> tuple[str, ...]:
        """Differs when a GPU has come, gone or changed its mode, or cannot be read; costs little, and never fails."""
        ...


class Hotplug(Protocol):
    """The kernel's word that GPUs, their driver or their device nodes have changed."""

    async def wait(self) -> None:
        """Returns once it has told so since the last return; never where it cannot be heard."""
        ...


class PartitionSwitch(Protocol):
    """The compute modes of GPUs. Nothing is kept open."""

    async def write_mode(self, address: PciAddress, mode: str) -> Outcome:
        """Writes the mode and waits until the kernel is done, holding up nothing else. Raises HostError."""
        ...

    async def find_processes(self) -> tuple[KfdProcess, ...]:
        """The processes that KFD lists, and the GPUs on which they have memory."""
        ...

    async def find_openers(self) -> tuple[KfdProcess, ...]:
        """The processes that have `/dev/kfd` open, as far as they can be seen from here."""
        ...


class DeviceNodes(Protocol):
    """Device nodes of the node."""

    def check(self, node: DeviceNode) -> None:
        """Returns if it is what sysfs states; raises HostError."""
        ...


class RecordStore(Protocol):
    """Records of claims; durable when a method returns. Raises HostError."""

    def load(self) -> Loaded:
        """All of them, and what was lost of them. Raises HostError if nothing is known."""
        ...

    def sweep(self, may: Callable[[str], bool]) -> None:
        """Removes what killed processes left half written of claims (their UIDs) of which `may` is true."""
        ...

    def save(self, record: Record) -> None:
        """Keeps one, in place of an older one."""
        ...

    def drop(self, uid: str) -> None:
        """Forgets one, if it is there."""
        ...


class CdiFolder(Protocol):
    """The folder of CDI documents. Raises HostError."""

    def write(self, uid: str, document: Mapping[str, Any]) -> bool:
        """Puts a claim's document there unless exactly this one is; whether it had to."""
        ...

    def read(self, uid: str) -> bytes | None:
        """A claim's document as it is there, or None."""
        ...

    def remove(self, uid: str) -> None:
        """Takes a claim's document away, if it is there."""
        ...

    def claims(self) -> list[str]:
        """UIDs of the claims that have a document of ours."""
        ...

    def sweep(self, may: Callable[[str], bool]) -> None:
        """As that of the records."""
        ...


class Instances(Protocol):
    """The other instances of the plugin on this node: there is one during a rolling update. Never waits.

    What a killed instance has locked is free. Only `get_version` and `changing` raise HostError.
    """

    @property
    def alone(self) -> bool:
        """Whether no other instance runs."""
        ...

    def lead(self) -> None:
        """Stands for the lead from now on: this instance can do the work of all."""
        ...

    @property
    def leads(self) -> bool:
        """Whether this one stands for the lead, and none that was started later does."""
        ...

    def try_lock(self, key: str) -> bool:
        """Takes what `key` stands for, unless another instance has it. Taking twice is taking once."""
        ...

    def unlock(self, key: str) -> None:
        """Gives it back."""
        ...

    def try_switch(self, address: PciAddress) -> bool:
        """Takes the right to switch a GPU's mode, unless another instance has it."""
        ...

    def end_switch(self, address: PciAddress) -> None:
        """Gives it back."""
        ...

    def find_switching(self) -> frozenset[PciAddress]:
        """The GPUs that other instances are switching, or about to."""
        ...

    def begin_look(self) -> None:
        """A reading of the tree begins; as often as `end_look` follows."""
        ...

    def end_look(self) -> None:
        """It is over."""
        ...

    @property
    def others_look(self) -> bool:
        """Whether another instance is reading the tree."""
        ...

    def get_version(self) -> bytes:
        """Differs from an earlier one if another instance may have changed records since."""
        ...

    def changing(self) -> AbstractContextManager[None]:
        """Around a change of a record."""
        ...


class Events(Protocol):
    """What users shall see beside the objects that it concerns. Never waits, never fails."""

    def emit(
        self,
        reason: str,
        message: str,
        *,
        claim: tuple[str, str, str] | None = None,
        pods: Iterable[ObjectRef] = (),
        same: str = "",
    ) -> None:
        """A warning about this node, or about a claim (namespace, name, UID) and pods that have it.

        `same`: what makes it the same as one that was told before, where the message has numbers that change.
        """
        ...


class Metrics(Protocol):
    """Counts and durations that a monitor may read. Never waits, never fails; label values are in the table's order."""

    def count(self, metric: Metric, *labels: str) -> None:
        """One more of a counter."""
        ...

    def observe(self, metric: Metric, seconds: float, *labels: str) -> None:
        """One more duration of a histogram."""
        ...

    def put(self, metric: Metric, values: Mapping[tuple[str, ...], float]) -> None:
        """All samples of a gauge, by label values, in place of those before."""
        ...


class EventApi(Protocol):
    """Events of the API server."""

    async def post_event(self, reason: str, message: str, about: ObjectRef | None) -> None:
        """Posts a warning about a claim or a pod, or else this node. Raises NotReadyError."""
        ...


class Clock(Protocol):
    """Time."""

    def now(self) -> float:
        """Seconds since some moment, never fewer than before."""
        ...

    async def wait(self, work: "asyncio.Future[Any]", seconds: float) -> bool:
        """Waits for `work`, at most so long, and does not end it; whether it is done."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Waits."""
        ...

    def jitter(self) -> float:
        """A random number from 0 to 1."""
        ...

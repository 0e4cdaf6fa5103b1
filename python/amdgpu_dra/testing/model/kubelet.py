"""The kubelet's view of claims: what it was told, and what it may therefore rely on."""

from dataclasses import dataclass, field

from amdgpu_dra.agent.claims import ClaimRef
from amdgpu_dra.api.resource import DeviceResult
from amdgpu_dra.core.claims import PlannedDevice


@dataclass
class Story:
    """A claim from its allocation to its end.

    Attributes:
        results: the devices that the scheduler allocated; None if it allocated none.
        broken: it can never be prepared: a wrong configuration, or a device that does not exist.
        told: the answer to its last Prepare; empty before the first, and from the end of its pods on.
        boards: device -> unique id of the GPU that was handed out under this name.
        deleted: the API server has it no more.
        damaged: its record was destroyed behind the plugin's back.
        upgraded: its record has what a newer driver has added.
        newer: its record before a newer driver wrote it in a form that this one does not know; None for one in no such.
        let_go: it was unprepared, and not prepared since.
        calls: those under way that were not given up.
        called: whether any call has named it.
    """

    ref: ClaimRef
    results: tuple[DeviceResult, ...] | None
    broken: bool = False
    told: tuple[PlannedDevice, ...] = ()
    boards: dict[str, str | None] = field(default_factory=dict)
    deleted: bool = False
    damaged: bool = False
    upgraded: bool = False
    newer: bytes | None = None
    let_go: bool = False
    calls: "list[Call]" = field(default_factory=list)
    called: bool = False

    @property
    def in_use(self) -> bool:
        """Whether pods may be running on its devices."""
        return bool(self.told) and not self.deleted

    @property
    def is_wanted(self) -> bool:
        """Whether its pods may run, or start."""
        return not self.deleted and not self.let_go and not self.broken

    @property
    def exclusive(self) -> list[tuple[str, str | None]]:
        """The devices that it must not share with others, and its share of each if it has only one."""
        return [(item.device, item.share_id) for item in self.results or () if not item.admin_access]


@dataclass(eq=False)
class Call:
    """A call of some claims; `changes` is how often the hardware had changed when it began."""

    verb: str
    stories: list[Story]
    changes: int

    def begin(self) -> None:
        """From now on no call of the other kind is made for these claims; an Unprepare comes after the end of pods."""
        for story in self.stories:
            story.called = True
            story.calls.append(self)
            story.let_go = False
            if self.verb == "unprepare":
                story.told = ()

    def leave(self) -> None:
        """It is over, or the kubelet does not wait for it any more."""
        for story in self.stories:
            if self in story.calls:
                story.calls.remove(self)


def gpu_and_mode(device: str) -> tuple[str, str]:
    """`gpu-0000-05-00-0-cpx-3` -> `0000:05:00.0` and `CPX`; a whole GPU's mode is SPX."""
    _, domain, bus, slot, function, *rest = device.split("-")
    return f"{domain}:{bus}:{slot}.{function}", rest[0].upper() if rest else "SPX"


def exclude(one: tuple[str, str | None], other: tuple[str, str | None]) -> bool:
    """Whether two devices, each with a share or none, must not be in use at once."""
    (name, share), (also, shared) = one, other
    if name == also:
        return share is None or shared is None or share == shared
    (gpu, mode), (gpu_2, mode_2) = gpu_and_mode(name), gpu_and_mode(also)
    return gpu == gpu_2 and mode != mode_2

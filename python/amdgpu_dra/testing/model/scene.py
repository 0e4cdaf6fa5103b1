"""`Scene`: a node for a story, and the little that all rules share."""

import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from amdgpu_dra.testing.cutfs import CutMount
from amdgpu_dra.testing.model.calm import Ending, calm
from amdgpu_dra.testing.model.disk import Disk
from amdgpu_dra.testing.model.kubelet import Story
from amdgpu_dra.testing.model.node import Node

FIRST, SECOND = "gpu-0000-05-00-0", "gpu-0000-26-00-0"
# Partitions of several modes of one GPU, whole GPUs, and both GPUs at once.
WANTS: tuple[tuple[str, ...], ...] = (
    (FIRST,),
    (f"{FIRST}-cpx-0", f"{FIRST}-cpx-5"),
    (f"{FIRST}-cpx-1",),
    (f"{FIRST}-dpx-1",),
    (SECOND,),
    (f"{SECOND}-cpx-7",),
    (f"{SECOND}-qpx-2", f"{FIRST}-cpx-2"),
    (FIRST, SECOND),
)
# Partitions of one GPU in one mode: claims that may be prepared at the same time, and want the same switch.
NEIGHBOURS = ((f"{FIRST}-cpx-0", f"{FIRST}-cpx-5"), (f"{FIRST}-cpx-1",), (f"{FIRST}-cpx-2",))
NAMES = ("a", "b", "c")
WHICH = st.integers(0, 7)
TOTAL: Counter[str] = Counter()
# Files that are synced a thousand times are kept where that costs nothing, if there is such a place.
_MEMORY = "/dev/shm"  # noqa: S108
# Steps.
_LONGEST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A node, and what a story is about: few claims of few devices, so that they meet.

    Attributes:
        idle_mode: see the flag.
        per_gpu: whether the kernel switches one GPU while another is in use.
        pool: what claims want.
        pods: how many there are at first.
        update: a second instance runs beside the first one from the start on; `adds`: of a newer driver.
        pace: how many points go on by themselves after each step.
    """

    idle_mode: str = ""
    per_gpu: bool = True
    pool: tuple[tuple[str, ...], ...] = WANTS
    pods: int = 0
    update: bool = False
    adds: bool = False
    pace: int = 0
    ending: Ending = field(default_factory=Ending)


SETTING = st.builds(
    Setting,
    idle_mode=st.sampled_from(("", "SPX", "DPX")),
    per_gpu=st.booleans(),
    pool=st.lists(st.sampled_from(WANTS), min_size=1, max_size=3).map(tuple) | st.just(NEIGHBOURS),
    pods=st.integers(1, 3),
    update=st.booleans(),
    adds=st.booleans(),
    # None, some, or all that there are.
    pace=st.sampled_from((0, 3, 8, 1000, 1000)),
    ending=st.builds(
        Ending,
        pair=st.booleans(),
        killed_after=st.none() | st.integers(0, 15),
        forgotten=st.booleans(),
    ),
)


class Scene(RuleBasedStateMachine):
    """A node for one story.

    Attributes:
        mount: where the node's files are; None for an ordinary disk.
    """

    mount: CutMount | None = None

    @initialize(setting=SETTING)
    def boot(self, setting: Setting) -> None:
        """A node that comes up, and its first pods."""
        self.pool, self.pace, self.ending = setting.pool, 0, setting.ending
        self._lasts = Counter[str]()
        self.node = Node(self._make_disk(), idle_mode=setting.idle_mode, per_gpu=setting.per_gpu)
        self.node.settle(1)
        if setting.update:
            self.node.join(adds=setting.adds)
            self.node.settle(1)
        for name, want in zip(NAMES[: setting.pods], self.pool, strict=False):
            self.begin(name, want, "", now=True)
        if setting.pace:
            self.node.settle(1)
        self.pace = setting.pace

    def _make_disk(self) -> Disk:
        if self.mount is not None:
            self.mount.disk.format()
            return Disk(self.mount.path, self.mount)
        at = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        self._folder = Path(tempfile.mkdtemp(prefix="amdgpu-model-", dir=at))
        return Disk(self._folder)

    def teardown(self) -> None:
        """Calm, unless something has gone wrong before, and the end."""
        if not hasattr(self, "node"):
            return
        try:
            if sys.exception() is None:
                calm(self.node, self.ending)
        finally:
            self.node.close()
            if self.mount is None:
                shutil.rmtree(self._folder)
            TOTAL.update(self.node.counts)
            TOTAL["stories"] += 1

    def did(self, what: str, then: int | None = None) -> None:
        """The end of every rule; `then`: a claim that the kubelet prepares right after it."""
        if then is not None:
            self.node.call("prepare", self.some([then]))
        self._outlast()
        self.node.counts[what] += 1
        self.node.counts["steps"] += 1
        self.node.check()
        self.node.go_on(self.pace)
        self.node.check()

    def _outlast(self) -> None:
        """Some troubles end by themselves: without records, answers or processes a story tells little."""
        node = self.node
        ends: dict[str, tuple[bool, Callable[[], None]]] = {
            "processes": (not node.processes, node.start),
            "disk": (node.disk.sick is not None, lambda: node.set_disk(None)),
            "API server": (node.server.down, lambda: node.set_api(down=False)),
        }
        for name, (trouble, end) in ends.items():
            self._lasts[name] = self._lasts[name] + 1 if trouble else 0
            if self._lasts[name] > _LONGEST:
                end()
                node.go_on(self.pace)
                node.call("prepare", [uid for uid, story in node.stories.items() if story.is_wanted])

    def some(self, which: list[int]) -> list[str]:
        """UIDs of claims that there are, or that something may be left of."""
        uids = [uid for uid, story in self.node.stories.items() if not (story.deleted and story.let_go)]
        uids = (uids or list(self.node.stories))[-4:]
        return [uids[number % len(uids)] for number in which] if uids else []

    def find(self, name: str) -> Story | None:
        """The claim of a name, if the API server has one."""
        claim = self.node.server.claims.claims.get(("ns", name))
        return None if claim is None else self.node.stories[claim.uid]

    def begin(self, name: str, want: tuple[str, ...], kind: str, *, now: bool) -> None:
        """A claim; see `pods`."""
        raise NotImplementedError

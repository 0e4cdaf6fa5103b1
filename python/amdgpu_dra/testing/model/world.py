"""The rules of the disk and the hardware."""

import errno

from hypothesis import strategies as st
from hypothesis.stateful import rule

from amdgpu_dra.testing.model.disk import Sickness
from amdgpu_dra.testing.model.scene import WHICH, Scene

GPU = st.sampled_from(("0000:05:00.0", "0000:26:00.0"))
MAJOR = st.sampled_from((235, 511))
MODE = st.sampled_from(("SPX", "DPX", "QPX", "CPX"))
TROUBLES = ("hold 7 {}", "release 7", "release 7", "reset {} on", "reset {} off", "reset {} off", "fail {} eio")
# A claim that the kubelet prepares right after it, if any.
THEN = st.none() | WHICH
SICK = st.builds(
    Sickness,
    errno=st.sampled_from((errno.ENOSPC, errno.EIO, errno.EROFS)),
    late=st.booleans(),
    reads=st.booleans(),
    verbs=st.sampled_from(((), ("create", "write"), ("write",), ("sync",), ("rename",), ("unlink",))),
    times=st.sampled_from((None, None, 1, 2, 3)),
)


class WorldRules(Scene):
    """Disks fail, GPUs come and go, and the power with them."""

    @rule(sick=st.none() | SICK, then=THEN)
    def disk(self, sick: Sickness | None, then: int | None = None) -> None:
        """It fails, or is well again."""
        self.node.set_disk(sick)
        self.did("disk faults" if sick else "disk repairs", then)

    @rule(which=WHICH, then=THEN)
    def lose_document(self, which: int, then: int | None = None) -> None:
        """Somebody tidies up the CDI folder."""
        for uid in self.some([which]):
            with self.node.disk.by_hand():
                (self.node.disk.cdi / f"k8s.gpu.amd.com-gpu_{uid}.json").unlink(missing_ok=True)
            self.node.hardware.changes += 1
            self.did("documents lost", then)

    @rule(which=WHICH, left=st.integers(0, 400))
    def corrupt(self, which: int, left: int) -> None:
        """The processes are killed, a record is cut, and the next one starts."""
        for uid in self.some([which]):
            story = self.node.stories[uid]
            if story.newer is None and self.node.find_record(uid) is not None:
                self.node.cut_record(story, left)
                self.did("records cut")

    @rule(major=MAJOR, turned=st.booleans(), kept=st.lists(st.booleans(), max_size=6), then=THEN)
    def reboot(self, major: int, kept: list[bool], then: int | None = None, *, turned: bool) -> None:
        """The node starts anew: modes, numbers, the CDI folder and what was not synced are gone."""
        self.node.reboot(major=major, turned=turned, kept=kept)
        self.node.start()
        if then is not None:
            self.node.settle()
        self.did("reboot steps", then)

    @rule(major=MAJOR, turned=st.booleans(), word=st.sampled_from(("reload", "reload", "unload", "load")), then=THEN)
    def driver(self, major: int, word: str, then: int | None = None, *, turned: bool) -> None:
        """Amdgpu is loaded anew beside the plugin."""
        self.node.hardware.restart(word, major=major, turned=turned)
        self.did("driver loads", then)

    @rule(gpu=GPU, board=st.booleans(), back=st.sampled_from((True, True, False)), then=THEN)
    def hot_plug(self, gpu: str, then: int | None = None, *, board: bool, back: bool) -> None:
        """A GPU goes or comes back, or another board does."""
        hardware = self.node.hardware
        hardware.obey(f"{'plug' if back else 'unplug'} {gpu}")
        for spec in hardware.kernel.fleet.gpus:
            if board and str(spec.address) == gpu:
                hardware.exchange(spec.address)
        self.did("hot-plugs", then)

    @rule(gpu=GPU, then=THEN)
    def exchange(self, gpu: str, then: int | None = None) -> None:
        """A board is exchanged for another, which is found."""
        self.hot_plug(gpu, board=True, back=False)
        self.hot_plug(gpu, board=False, back=True)
        self.node.settle(5.0)
        self.did("exchanges", then)

    @rule(gpu=GPU, mode=MODE, then=THEN)
    def foreign_mode(self, gpu: str, mode: str, then: int | None = None) -> None:
        """Somebody else sets a mode."""
        for spec in self.node.hardware.kernel.present.gpus:
            if str(spec.address) == gpu and spec.address not in self.node.hardware.kernel.switching:
                self.node.hardware.set_mode(spec.address, mode)
                self.node.hardware.changes += 1
        self.did("foreign modes", then)

    @rule(line=st.sampled_from(TROUBLES), gpu=GPU)
    def trouble(self, line: str, gpu: str) -> None:
        """A GPU is used, reset or fails."""
        self.node.hardware.obey(line.format(gpu))
        self.did("troubles")

    @rule(seconds=st.sampled_from((0.0, 5.0, 61.0)))
    def heal(self, seconds: float) -> None:
        """All trouble is over for a while."""
        self.node.heal()
        self.node.start()
        self.node.settle(seconds)
        self.did("heals")

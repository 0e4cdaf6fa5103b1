"""The rules of the plugin's processes: one or more of them, killed, stopped, and of other versions."""

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from amdgpu_dra.testing.model.forms import FORMS
from amdgpu_dra.testing.model.scene import WHICH, Scene

HALF = st.sampled_from((0, 0, 1, 2, 3, 4, 5, 6))


class ProcessRules(Scene):
    """Time passes, and processes come and go."""

    @rule(choices=st.lists(WHICH, min_size=1, max_size=12))
    def go_on(self, choices: list[int]) -> None:
        """Some of what waits goes on, in this order."""
        for choice in choices:
            if self.node.loop.step(choice):
                self.node.counts["points"] += 1
                self.node.check()
        self.did("goings on")

    @rule(seconds=st.sampled_from((0.0, 0.3, 5.0, 45.0, 61.0, 601.0, 1000.0)))
    def settle(self, seconds: float) -> None:
        """Everything that can goes on, and time passes."""
        self.node.settle(seconds)
        if seconds > 60:
            self.node.check_rest()
        self.did("settlings")

    @rule(which=WHICH, half=HALF, again=st.sampled_from((True, True, False)), adds=st.booleans())
    def kill(self, which: int, half: int, *, again: bool, adds: bool = False) -> None:
        """SIGKILL to one, here."""
        if self.node.processes:
            self.node.kill(which, half=half)
        if again:
            self.node.start(adds=adds)
        self.did("kill steps")

    @precondition(lambda self: not self.node.processes)
    @rule(adds=st.booleans())
    def start(self, *, adds: bool) -> None:
        """The next process."""
        self.node.start(adds=adds)
        self.did("start steps")

    @rule(adds=st.booleans())
    def stop(self, *, adds: bool) -> None:
        """SIGTERM, and another one."""
        if self.node.serving:
            self.node.stop()
            self.node.start(adds=adds)
            self.did("stops")

    # A rolling update.

    @rule(adds=st.booleans())
    def join(self, *, adds: bool) -> None:
        """Another instance beside the one that there is."""
        self.node.join(adds=adds)
        self.did("joins")

    @rule(which=WHICH)
    def leave(self, which: int) -> None:
        """SIGTERM to one, which goes when it is done; most often the old one."""
        going = [process for process in self.node.serving if not process.stopping]
        if going:
            going[0 if which < 5 else -1].stop()
            self.did("leavings")

    @rule(adds=st.booleans(), again=st.booleans(), which=WHICH)
    def roll(self, which: int, *, adds: bool, again: bool) -> None:
        """A whole update: a new instance, a call to either, and the old one goes; `again`: and the same back."""
        for _ in range(1 + again):
            self.node.start()
            self.node.join(adds=adds)
            self.node.settle(1.0)
            for uid in self.some([which]):
                self.node.call("prepare" if self.node.stories[uid].in_use else "unprepare", [uid], old=which % 2 == 0)
            if len(self.node.serving) > 1:
                self.node.processes[0].stop()
            self.node.settle(30.0)
            self.node.check()
            adds = not adds
        self.did("updates")

    # Other versions.

    @rule(which=WHICH, form=st.sampled_from(FORMS), beside=st.booleans())
    def other_version(self, which: int, form: str, *, beside: bool) -> None:
        """A driver of another version has written a record: an older one, a newer one, or one that is too new."""
        for uid in self.some([which]):
            self.node.rewrite(self.node.stories[uid], form, beside=beside)
            self.did("other versions")

    @rule(which=WHICH)
    def upgrade(self, which: int) -> None:
        """The driver that is too new comes back, and goes on with its record."""
        newer = [story for story in self.node.stories.values() if story.newer is not None]
        if newer:
            self.node.take_back(newer[which % len(newer)])
            self.did("upgrades")

"""The rules of scheduler, users and kubelet."""

from hypothesis import strategies as st
from hypothesis.stateful import rule

from amdgpu_dra.agent.claims import ClaimRef
from amdgpu_dra.api.resource import Claim, DeviceResult, OpaqueConfig
from amdgpu_dra.testing.model.kubelet import Story
from amdgpu_dra.testing.model.process import NODE
from amdgpu_dra.testing.model.scene import NAMES, WHICH, Scene

# Whole devices, with admin access, shares; then what can never be prepared: a wrong configuration, a device that is
# nowhere, and a claim without an allocation.
KINDS = ("", "", "", "", "admin", "share-1", "share-2", "wrong", "nowhere", "none")
NAME = st.sampled_from(NAMES)
WANT = st.integers(0, 2)
BATCH = st.lists(WHICH, min_size=1, max_size=3)


class PodRules(Scene):
    """Claims come and go, and so do the pods that have them."""

    # The scheduler and the API server.

    def begin(self, name: str, want: tuple[str, ...], kind: str, *, now: bool) -> None:
        """A claim, if none has its name; `now`: its pod starts as well."""
        node = self.node
        if self.find(name) is not None:
            return
        uid = f"{name}-{len(node.stories)}"
        results = None if kind == "none" else tuple(_result(device, kind) for device in want)
        path = "status.allocation.devices.config[0].opaque.parameters"
        wrong = OpaqueConfig(requests=(), driver="gpu.amd.com", parameters={"kind": 7}, from_class=False, path=path)
        configs = (wrong,) if kind == "wrong" else ()
        claim = Claim(namespace="ns", name=name, uid=uid, results=results, configs=configs, reserved=True)
        node.server.claims.add(claim)
        broken = kind in ("wrong", "nowhere", "none")
        node.stories[uid] = Story(ref=ClaimRef(uid, "ns", name), results=results, broken=broken)
        if now:
            node.call("prepare", [uid])
        self.did("claims")

    @rule(name=NAME, want=WANT, kind=st.sampled_from(KINDS), now=st.booleans())
    def launch(self, name: str, want: int, kind: str, *, now: bool) -> None:
        """A claim, or the next one of a name whose claim is gone."""
        self.begin(name, self.pool[want % len(self.pool)], kind, now=now)

    @rule(name=NAME, want=WANT)
    def run_pod(self, name: str, want: int) -> None:
        """A pod of before ends, if there is one, and another starts; nothing disturbs them."""
        self.replace(name, want)
        self.launch(name, want, "", now=True)
        self.node.settle(1.0)
        self.did("pods")

    @rule(name=NAME)
    def delete(self, name: str) -> None:
        """A claim goes whose pods have ended, or never began. Its Unprepare may come later, or have failed."""
        story = self.find(name)
        if story is not None and not story.in_use:
            del self.node.server.claims.claims["ns", name]
            story.deleted = True
            self.did("deletions")

    @rule(name=NAME, want=WANT)
    def replace(self, name: str, want: int) -> None:
        """A pod ends, and the next one of its name has a claim of the same name, at once."""
        story = self.find(name)
        if story is not None:
            self.node.call("unprepare", [story.ref.uid])
            self.delete(name)
            self.launch(name, want, "", now=True)

    @rule(down=st.sampled_from((True, False, False)))
    def api(self, *, down: bool) -> None:
        """The API server goes or comes."""
        self.node.set_api(down=down)
        self.did("outages" if down else "returns")

    @rule(which=WHICH)
    def foreign_slice(self, which: int) -> None:
        """Somebody deletes one of our slices."""
        names = sorted(self.node.server.slices.slices)
        if names:
            self.node.server.slices.take(names[which % len(names)])
            self.did("slices deleted")

    # The kubelet.

    @rule(which=BATCH, old=st.booleans())
    def prepare(self, which: list[int], *, old: bool = False) -> None:
        """A batch, of which claims may stand in another batch as well."""
        self.node.call("prepare", self.some(which), old=old)
        self.did("prepare calls")

    @rule(which=BATCH, old=st.booleans())
    def unprepare(self, which: list[int], *, old: bool = False) -> None:
        """A batch."""
        self.node.call("unprepare", self.some(which), old=old)
        self.did("unprepare calls")

    # The only rule without arguments, which Hypothesis draws more often than others.
    @rule()
    def sync(self) -> None:
        """The kubelet looks at every pod: what shall run is prepared, what has ended is let go of."""
        for uid, story in self.node.stories.items():
            if story.is_wanted or (story.called and not story.let_go):
                self.node.call("prepare" if story.is_wanted else "unprepare", [uid])
        self.did("looks of the kubelet")

    @rule(which=WHICH)
    def give_up(self, which: int) -> None:
        """A call is cancelled."""
        calls = [item for process in self.node.processes for item in process.calls.items()]
        if calls:
            task, call = calls[which % len(calls)]
            call.leave()
            task.cancel()
            self.node.loop.run_until_idle()
            self.did("calls given up")

    @rule(which=WHICH)
    def end_pods(self, which: int) -> None:
        """The pods of a claim end while the kubelet cannot reach the plugin."""
        for uid in self.some([which]) if not self.node.serving else []:
            self.node.stories[uid].told = ()
            self.did("ends of pods")


def _result(device: str, kind: str) -> DeviceResult:
    share = kind if kind.startswith("share") else None
    return DeviceResult(
        request="r",
        driver="gpu.amd.com",
        pool=NODE,
        device="gpu-0000-99-00-0" if kind == "nowhere" else device,
        admin_access=kind == "admin",
        share_id=share,
    )

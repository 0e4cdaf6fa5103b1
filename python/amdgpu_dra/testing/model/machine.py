"""The state machine: rules for everybody who acts on a node, drawn by Hypothesis."""

import errno
import hashlib
import json
import shutil
import tempfile
from collections import Counter
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from amdgpu_dra.agent.claims import ClaimRef
from amdgpu_dra.api.resource import Claim, DeviceResult, OpaqueConfig
from amdgpu_dra.testing.model.calm import calm
from amdgpu_dra.testing.model.kubelet import Story
from amdgpu_dra.testing.model.node import ADDED, Node
from amdgpu_dra.testing.model.process import NODE

FIRST, SECOND = "gpu-0000-05-00-0", "gpu-0000-26-00-0"
# Partitions of several modes of one GPU, whole GPUs, both GPUs at once, and one that is nowhere.
WANTS: tuple[tuple[str, ...] | None, ...] = (
    (FIRST,),
    (f"{FIRST}-cpx-0", f"{FIRST}-cpx-5"),
    (f"{FIRST}-cpx-1",),
    (f"{FIRST}-dpx-1",),
    (SECOND,),
    (f"{SECOND}-cpx-7",),
    (f"{SECOND}-qpx-2", f"{FIRST}-cpx-2"),
    (FIRST, SECOND),
    ("gpu-0000-99-00-0",),
    None,
)
KINDS = ("", "", "", "admin", "share-1", "share-2", "wrong")
NAMES = ("a", "b", "c", "d")
NAME = st.sampled_from(NAMES)
GPU = st.sampled_from(("0000:05:00.0", "0000:26:00.0"))
MODE = st.sampled_from(("SPX", "DPX", "QPX", "CPX"))
WHICH = st.integers(0, 7)
TOTAL: Counter[str] = Counter()


class NodeMachine(RuleBasedStateMachine):
    """A node under everything that may befall it."""

    @initialize(
        idle_mode=st.sampled_from(("", "SPX", "DPX")),
        per_gpu=st.booleans(),
        wants=st.lists(st.sampled_from(WANTS[:8]), max_size=4),
    )
    def boot(self, idle_mode: str, wants: list[tuple[str, ...]], *, per_gpu: bool) -> None:
        """A node that comes up, and its first pods."""
        self.folder = Path(tempfile.mkdtemp(prefix="amdgpu-model-"))
        self.node = Node(self.folder, idle_mode=idle_mode, per_gpu=per_gpu)
        self.node.settle(1)
        for name, want in zip(NAMES, wants, strict=False):
            self.launch(name, want, "", now=True)

    def teardown(self) -> None:
        """Calm, and the end."""
        if hasattr(self, "node"):
            try:
                calm(self.node)
            finally:
                self.node.close()
                shutil.rmtree(self.folder)
                TOTAL.update(self.node.counts)
                TOTAL["stories"] += 1

    def _did(self, what: str) -> None:
        self.node.counts[what] += 1
        self.node.counts["steps"] += 1
        self.node.check()

    def _some(self, which: list[int]) -> list[str]:
        uids = list(self.node.stories)[-8:]
        return [uids[number % len(uids)] for number in which] if uids else []

    # The scheduler and the API server.

    @rule(name=NAME, want=st.sampled_from(WANTS), kind=st.sampled_from(KINDS), now=st.booleans())
    def launch(self, name: str, want: tuple[str, ...] | None, kind: str, *, now: bool) -> None:
        """A claim, or the next one of a name whose claim is gone; `now`: its pod starts as well."""
        node = self.node
        if ("ns", name) in node.server.claims.claims:
            return
        uid = f"{name}-{len(node.stories)}"
        results = None if want is None else tuple(_result(device, kind) for device in want)
        path = "status.allocation.devices.config[0].opaque.parameters"
        wrong = OpaqueConfig(requests=(), driver="gpu.amd.com", parameters={"kind": 7}, from_class=False, path=path)
        configs = (wrong,) if kind == "wrong" else ()
        claim = Claim(namespace="ns", name=name, uid=uid, results=results, configs=configs, reserved=True)
        node.server.claims.add(claim)
        broken = bool(configs) or results is None or want == WANTS[-2]
        node.stories[uid] = Story(ref=ClaimRef(uid, "ns", name), results=results, broken=broken)
        if now:
            node.call("prepare", [uid])
        self._did("claims")

    @rule(name=NAME, want=st.sampled_from(WANTS[:8]))
    def run_pod(self, name: str, want: tuple[str, ...]) -> None:
        """A pod of before ends, if there is one, and another starts; nothing disturbs them."""
        self.replace(name, want)
        self.launch(name, want, "", now=True)
        self.settle(1.0)

    @rule(name=NAME)
    def delete(self, name: str) -> None:
        """A claim goes whose pods have ended, or never began. Its Unprepare may come later, or have failed."""
        claim = self.node.server.claims.claims.get(("ns", name))
        if claim is not None and not self.node.stories[claim.uid].in_use:
            del self.node.server.claims.claims["ns", name]
            self.node.stories[claim.uid].deleted = True
            self._did("deletions")

    @rule(name=NAME, want=st.sampled_from(WANTS))
    def replace(self, name: str, want: tuple[str, ...] | None) -> None:
        """A pod ends, and the next one of its name has a claim of the same name, at once."""
        claim = self.node.server.claims.claims.get(("ns", name))
        if claim is not None:
            self.node.call("unprepare", [claim.uid])
            self.delete(name)
            self.launch(name, want, "", now=True)

    @rule(down=st.booleans())
    def api(self, *, down: bool) -> None:
        """The API server goes or comes."""
        self.node.server.set_down(down=down)
        self._did("outages" if down else "returns")

    @rule(which=WHICH)
    def foreign_slice(self, which: int) -> None:
        """Somebody deletes one of our slices."""
        names = sorted(self.node.server.slices.slices)
        if names:
            self.node.server.slices.take(names[which % len(names)])
            self._did("slices deleted")

    # The kubelet.

    @rule(which=st.lists(WHICH, min_size=1, max_size=4))
    def prepare(self, which: list[int]) -> None:
        """A batch, of which claims may stand in another batch as well."""
        self.node.call("prepare", self._some(which))
        self._did("prepare calls")

    @rule(which=st.lists(WHICH, min_size=1, max_size=4))
    def unprepare(self, which: list[int]) -> None:
        """A batch."""
        self.node.call("unprepare", self._some(which))
        self._did("unprepare calls")

    @rule(which=WHICH)
    def give_up(self, which: int) -> None:
        """A call is cancelled."""
        calls = list(self.node.process.calls.items()) if self.node.process else []
        if calls:
            task, call = calls[which % len(calls)]
            call.leave()
            task.cancel()
            self.node.loop.run_until_idle()
            self._did("calls given up")

    @rule(which=WHICH)
    def end_pods(self, which: int) -> None:
        """The pods of a claim end while the kubelet cannot reach the plugin."""
        for uid in self._some([which]):
            self.node.stories[uid].told = ()
            self._did("ends of pods")

    # The process.

    @rule(choices=st.lists(WHICH, min_size=1, max_size=12))
    def go_on(self, choices: list[int]) -> None:
        """Some of what waits goes on, in this order."""
        for choice in choices:
            if self.node.loop.step(choice):
                self.node.counts["points"] += 1
                self.node.check()
        self._did("goings on")

    @rule(seconds=st.sampled_from((0.0, 0.3, 5.0, 45.0, 61.0, 601.0)))
    def settle(self, seconds: float) -> None:
        """Everything that can goes on, and time passes."""
        self.node.settle(seconds)
        self._did("settlings")

    @rule(half=st.booleans(), again=st.booleans())
    def kill(self, *, half: bool, again: bool) -> None:
        """SIGKILL, here."""
        self.node.kill(half=half)
        if again:
            self.node.start()
        self._did("kill steps")

    @precondition(lambda self: self.node.process is None)
    @rule()
    def start(self) -> None:
        """The next process."""
        self.node.start()
        self._did("start steps")

    @rule()
    def stop(self) -> None:
        """SIGTERM, and another one."""
        if self.node.process is not None and self.node.process.serving:
            self.node.stop()
            self.node.start()
            self._did("stops")

    # The disk.

    @rule(
        fault=st.sampled_from((None, None, errno.ENOSPC, errno.EIO, errno.EROFS)),
        late=st.booleans(),
        reads=st.booleans(),
    )
    def disk(self, fault: int | None, *, late: bool, reads: bool) -> None:
        """It fails, or is well again."""
        self.node.disk.fault = fault
        self.node.disk.late, self.node.disk.reads_fail = late, reads and fault == errno.EIO
        self._did("disk faults" if fault else "disk repairs")

    @rule(which=WHICH)
    def lose_document(self, which: int) -> None:
        """Somebody tidies up the CDI folder."""
        for uid in self._some([which]):
            (self.node.disk.cdi / f"k8s.gpu.amd.com-gpu_{uid}.json").unlink(missing_ok=True)
            self.node.hardware.changes += 1
            self._did("documents lost")

    @rule(which=WHICH, left=st.integers(0, 400))
    def corrupt(self, which: int, left: int) -> None:
        """The process is killed, a record is cut, and the next one starts."""
        uids = [uid for uid in self._some([which]) if self.node.find_record(uid) is not None]
        for uid in uids:
            self.node.kill()
            path = self.node.disk.records / f"{uid}.json"
            path.write_bytes(path.read_bytes()[:-1][:left])
            self.node.stories[uid].damaged, self.node.stories[uid].upgraded = True, False
            self.node.start()
            self._did("records cut")

    @rule(which=WHICH)
    def upgrade(self, which: int) -> None:
        """A newer driver ran for a while and has left fields that this one does not know."""
        for uid in self._some([which]):
            path = self.node.disk.records / f"{uid}.json"
            if self.node.find_record(uid) is not None:
                self.node.kill()
                path.write_bytes(with_new_fields(path.read_bytes()))
                self.node.stories[uid].upgraded = True
                self.node.start()
                self._did("upgrades")

    # The hardware.

    @rule(major=st.sampled_from((235, 511)), turned=st.booleans())
    def reboot(self, major: int, *, turned: bool) -> None:
        """The node starts anew: modes, numbers and the CDI folder are gone."""
        self.node.reboot(major=major, turned=turned)
        self.node.start()
        self._did("reboot steps")

    @rule(major=st.sampled_from((235, 511)), turned=st.booleans(), word=st.sampled_from(("reload", "unload", "load")))
    def driver(self, major: int, word: str, *, turned: bool) -> None:
        """Amdgpu is loaded anew beside the plugin."""
        self.node.hardware.restart(word, major=major, turned=turned)
        self._did("driver loads")

    @rule(gpu=GPU, board=st.booleans(), back=st.booleans())
    def hot_plug(self, gpu: str, *, board: bool, back: bool) -> None:
        """A GPU goes or comes back, or another board does."""
        hardware = self.node.hardware
        hardware.obey(f"{'plug' if back else 'unplug'} {gpu}")
        for spec in hardware.kernel.fleet.gpus:
            if board and str(spec.address) == gpu:
                hardware.exchange(spec.address)
        self._did("hot-plugs")

    @rule(gpu=GPU, mode=MODE)
    def foreign_mode(self, gpu: str, mode: str) -> None:
        """Somebody else sets a mode."""
        for spec in self.node.hardware.kernel.present.gpus:
            if str(spec.address) == gpu and spec.address not in self.node.hardware.kernel.switching:
                self.node.hardware.set_mode(spec.address, mode, by_us=False)
                self.node.hardware.changes += 1
        self._did("foreign modes")

    @rule(line=st.sampled_from(("hold 7 {}", "release 7", "reset {} on", "reset {} off", "fail {} eio")), gpu=GPU)
    def trouble(self, line: str, gpu: str) -> None:
        """A GPU is used, reset or fails."""
        self.node.hardware.obey(line.format(gpu))
        self._did("troubles")


def _result(device: str, kind: str) -> DeviceResult:
    share = kind if kind.startswith("share") else None
    admin = kind == "admin"
    return DeviceResult(request="r", driver="gpu.amd.com", pool=NODE, device=device, admin_access=admin, share_id=share)


def with_new_fields(data: bytes) -> bytes:
    """A record as a newer driver of the same version would have written it."""
    body = json.loads(data.partition(b"\n")[0])
    body[ADDED] = {"x": [1]}
    for device in body["devices"]:
        device[ADDED] = "y"
    line = json.dumps(body).encode()
    return line + b"\n" + hashlib.sha256(line).hexdigest().encode() + b"\n"

"""One process of the plugin: the real agents and the real runner, on the ports of the model."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

from amdgpu_dra.agent.claims import Answer, ClaimRef, telling
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.apps.kubelet_plugin.agents import Edges, make_agents
from amdgpu_dra.apps.kubelet_plugin.flags import Options, parse_flags
from amdgpu_dra.apps.kubelet_plugin.run import Runner
from amdgpu_dra.apps.kubelet_plugin.wiring import Plugin
from amdgpu_dra.testing.model.clock import VirtualClock
from amdgpu_dra.testing.model.disk import Disk, Documents, Instance, Records
from amdgpu_dra.testing.model.kernel import Hardware, KernelPort
from amdgpu_dra.testing.model.kubelet import Call
from amdgpu_dra.testing.model.loop import OWNER, StepLoop
from amdgpu_dra.testing.model.server import Server, ServerPort

NODE = "n1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a process lives in, and what outlives it."""

    loop: StepLoop
    clock: VirtualClock
    hardware: Hardware
    server: Server
    disk: Disk


@lru_cache(maxsize=16)
def options_of(idle_mode: str) -> Options:
    """The options of a node with dynamic partitions."""
    flags = ["--feature-gates=DynamicPartitioning=true", "--repartition=per-gpu", f"--idle-mode={idle_mode}"]
    return parse_flags([f"--node-name={NODE}", *flags], {}, "0")


class Process:
    """A process from its start to its end.

    Attributes:
        adds: whether it is a newer driver of the same version, which has added fields to records.
        serving: whether the kubelet can call it.
        stopping: whether it was told to end.
        ended: why it has ended by itself; None while it runs, or after a kill.
        calls: the kubelet's calls that are under way.
    """

    def __init__(self, around: Surroundings, options: Options, boot: str, *, adds: bool = False) -> None:
        self._around, self._options, self._boot, self.adds = around, options, boot, adds
        self.serving = self.dead = self.stopping = False
        self.calls: dict[asyncio.Task[Mapping[str, Answer]], Call] = {}
        self.ended: BaseException | None = None
        self._instances: Instance | None = None
        self._context = copy_context()
        self._context.run(OWNER.set, self)
        self._main = around.loop.create_task(self._run(), context=self._context)
        self._main.add_done_callback(self._note_end)
        around.loop.run_until_idle()

    def _note_end(self, task: "asyncio.Task[None]") -> None:
        self.serving = False
        if not task.cancelled():
            self.ended = task.exception() or SystemExit(0)

    async def _run(self) -> None:
        plugin = self._wire()
        agents = plugin.agents
        self.claims, self.publisher, self.verifier = agents.claims, agents.publisher, agents.verifier
        await Runner(plugin, self._options).run()

    def _wire(self) -> Plugin:
        """As `wiring.wire` does, on other edges."""
        around, is_dead = self._around, lambda: self.dead
        tree = KernelPort(around.loop, around.hardware, self, is_dead)
        api = ServerPort(around.loop, around.server, self, is_dead)
        instances = self._instances = Instance(str(around.disk.folder))
        edges = Edges(
            clock=around.clock,
            tree=tree,
            hotplug=tree,
            modes=tree,
            nodes=tree,
            store=Records(around.loop, around.disk, is_dead, adds=self.adds),
            cdi=Documents(around.loop, around.disk, is_dead),
            instances=instances,
            claims=api,
            slices=api,
            events=api,
        )
        agents = make_agents(edges, self._options, boot_id=self._boot)
        self._calls = {
            "prepare": telling(agents.events, agents.claims.prepare),
            "unprepare": telling(agents.events, agents.claims.unprepare, always=Reason.UNPREPARE_FAILED),
        }
        return Plugin(
            agents=agents,
            uevents=cast("Any", _NoSocket()),
            kubelet=cast("Any", _Sockets(self)),
            health=cast("Any", _Nothing()),
            connection=cast("Any", _Nothing()),
            metrics=None,
            instances=instances,
        )

    def call(
        self, verb: str, refs: list[ClaimRef], call: Call, then: Callable[[Call, Mapping[str, Answer] | None], None]
    ) -> None:
        """A call of the kubelet's; `then` is told when it is over, however that comes."""
        task = self._around.loop.create_task(self._answer(verb, refs), context=self._context)
        self.calls[task] = call

        def over(task: "asyncio.Task[Mapping[str, Answer]]") -> None:
            del self.calls[task]
            failed = task.cancelled() or task.exception() is not None
            then(call, None if failed else task.result())

        task.add_done_callback(over)
        self._around.loop.run_until_idle()

    async def _answer(self, verb: str, refs: list[ClaimRef]) -> Mapping[str, Answer]:
        return await self._calls[verb](refs)

    async def wait_for(self, work: "asyncio.Future[Any]", seconds: float) -> None:
        """Waits for calls, at most so long."""
        await self._around.clock.wait(work, seconds)

    def kill(self) -> None:
        """SIGKILL."""
        self.dead, self.serving = True, False
        if self._instances is not None:
            self._instances.dead = True
        self._around.loop.kill(self)
        self.leave()

    def leave(self) -> None:
        """The process has gone, or goes when the kernel has done what it began for it: then its locks are free."""
        instances, self._instances = self._instances, None
        if instances is not None:
            instances.dead = True
            self._around.hardware.when_done(self, instances.close)

    def stop(self) -> None:
        """SIGTERM."""
        self.stopping = True
        self._around.loop.handlers[self, signal.SIGTERM]()
        self._around.loop.run_until_idle()


class _Sockets:
    """In place of `KubeletServer`: who is registered is called."""

    dra = "dra.sock"

    def __init__(self, process: Process) -> None:
        self._process = process
        self.sockets = self

    def sweep(self) -> None:
        """There are no sockets of others."""

    async def start_dra(self) -> None:
        """Nothing can be called before the registration."""

    async def start_registration(self) -> None:
        """The kubelet calls from now on."""
        self._process.serving = True

    async def stop(self, grace: float) -> None:
        """Calls in flight get so many seconds."""
        self._process.serving = False
        if calls := set(self._process.calls):
            await self._process.wait_for(asyncio.gather(*calls, return_exceptions=True), grace)
            for call in calls:
                call.cancel()


class _Nothing:
    """In place of what the model does not serve."""

    async def stop(self) -> None:
        """Nothing was started."""

    async def close(self) -> None:
        """Nothing was opened."""


class _NoSocket:
    """In place of `Uevents`: what the kernel tells comes without it."""

    def open(self) -> None:
        """There is none."""

    def close(self) -> None:
        """Nor was there."""

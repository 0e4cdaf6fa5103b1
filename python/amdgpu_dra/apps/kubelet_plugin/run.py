"""The process at work: start order, one task group, and the order of stopping."""

import asyncio
import logging
import signal
from dataclasses import replace

from amdgpu_dra.agent.publish import Support
from amdgpu_dra.api.errors import HostError
from amdgpu_dra.api.logs import facts
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.apps.kubelet_plugin.flags import Options
from amdgpu_dra.apps.kubelet_plugin.meters import put_offer
from amdgpu_dra.apps.kubelet_plugin.offer import Offer
from amdgpu_dra.apps.kubelet_plugin.wiring import Plugin
from amdgpu_dra.core.devices import Layout, Listing, describe, list_devices
from amdgpu_dra.core.gpu import Inventory

_LOG = logging.getLogger("plugin")
# Calls in flight get this long at a stop; the pod's own grace period is 30 s.
_GRACE = 20.0
_ASK_AGAIN = 0.5


class Runner:
    """Runs a plugin until a signal ends it."""

    def __init__(self, plugin: Plugin, options: Options) -> None:
        self._plugin, self._agents, self._options = plugin, plugin.agents, options
        agents = self._agents
        self._stop, self._changed = asyncio.Event(), asyncio.Event()
        self._offer = Offer(options, agents.publisher)
        self._reported: set[str] = set()
        agents.rescan.on_change = self._changed.set
        agents.survey.offer = self._use
        agents.survey.on_look = agents.board.note_look
        agents.publisher.on_support = self._use_support

    async def run(self) -> None:
        """Returns after a signal. Raises DriverError if it cannot start."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            loop.add_signal_handler(number, self._stop.set)
        try:
            await self._start()
            await self._work()
        except BaseException:
            # Else the sockets stay, and gRPC's servers outlive the loop, which they say in tracebacks.
            await self._plugin.kubelet.stop(0)
            raise
        finally:
            self._plugin.uevents.close()
            await self._plugin.health.stop()
            await self._plugin.connection.close()
            if self._plugin.metrics is not None:
                await asyncio.to_thread(self._plugin.metrics.stop)

    async def _start(self) -> None:
        """1. Claims of an earlier process, 2. what the node has, 3. the kubelet's sockets.

        The API server comes last, in `_work`, since its client takes longer to import than all the rest.
        """
        plugin = self._plugin
        # Before anything is served: a port that is taken ends the process.
        if plugin.metrics is not None:
            _LOG.info("metrics on port %d", plugin.metrics.start(self._options.metrics_port))
        held = self._agents.claims.load()
        if held:
            _LOG.info("took over %d claims", len(held))
        plugin.uevents.open()
        # Where it fails everything is served all the same: a claim can be released without any GPU.
        await self._agents.rescan.look()
        plugin.kubelet.sweep()
        await plugin.kubelet.start_dra()
        await plugin.kubelet.start_registration()
        if self._options.healthcheck_port >= 0:
            _LOG.info("health checks on port %d", await plugin.health.start(self._options.healthcheck_port))
        if not self._agents.survey.unknown:
            plugin.instances.lead()
        _LOG.info("serving %s", plugin.kubelet.sockets.dra)

    async def _work(self) -> None:
        """Publishes and looks for changes until a signal comes; then stops.

        Stop: 1. leave the kubelet's sight and let its calls end, 2. looking, publishing and switching, 3. the API
        server. Slices stay: the kubelet removes them if the driver does not come back within 30 s.
        """
        async with asyncio.TaskGroup() as group:
            plugin, agents = self._plugin, self._agents
            works = (
                agents.publisher.run(),
                agents.events.run(),
                agents.verifier.run(),
                agents.verifier.run_after_others(),
                self._reverify(),
                agents.rescan.run(),
                self._lead(),
            )
            tasks = [group.create_task(work) for work in works]
            await self._stop.wait()
            _LOG.info("stopping")
            agents.board.close()
            await plugin.kubelet.stop(_GRACE)
            for task in tasks:
                task.cancel()
            await agents.switcher.close()

    async def _lead(self) -> None:
        """Takes the lead once every GPU is known: until then what the instance before this one published is better."""
        survey = self._agents.survey
        while survey.unknown:
            await self._agents.clock.sleep(_ASK_AGAIN)
            try:
                await survey.refresh()
            except HostError as error:
                _LOG.error("%s", error)
        self._plugin.instances.lead()

    async def _reverify(self) -> None:
        """Looks at the claims again as soon as the GPUs have changed, unless another instance does.

        The API server is asked only if something could not be mended before: what GPUs do says nothing of claims.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            if self._plugin.instances.leads:
                await self._agents.verifier.look(ask=self._agents.verifier.unsettled)

    def _use(self, inventory: Inventory) -> Listing:
        """What is offered of an inventory; it is published as well."""
        listing = list_devices(inventory, self._layout(inventory))
        described = [describe(device) for device in listing.devices]
        self._report(inventory, listing, {name for _, refused in described for name in refused})
        self._agents.publisher.want(tuple(device for device, _ in described), listing.counter_sets)
        self._agents.board.judge(inventory, listing)
        if self._plugin.metrics is not None:
            put_offer(self._plugin.metrics, (device for device, _ in described), listing, self._offer.reason)
        return listing

    def _layout(self, inventory: Inventory) -> Layout:
        """The layout that is offered, less what the switcher found impossible."""
        layout, switcher = self._offer.layout(inventory), self._agents.switcher
        if self._offer.reason:
            self._agents.events.emit(self._offer.reason, f"the partitions of now are published: {self._offer.detail}")
        if not layout.dynamic:
            return layout
        blocked = {gpu.address: Reason.SWITCH_BLOCKED for gpu in inventory.gpus} if switcher.blocked else {}
        return replace(layout, failed=frozenset(switcher.failed), blocked=blocked)

    def _use_support(self, support: Support) -> None:
        """Publishes anew once it is known whether the cluster keeps counters."""
        _LOG.info("the cluster %s", "keeps counters" if support.counters else f"keeps no counters: {support.detail}")
        self._agents.survey.relist()
        # Claims of partitions that were not offered until now may have been found to have no device.
        self._changed.set()

    def _report(self, inventory: Inventory, listing: Listing, refused: set[str]) -> None:
        """Logs what was found, and everything that could not be used; not what the last look has said already."""
        said, self._reported = self._reported, set()
        if not inventory.driver_loaded:
            self._say("no amdgpu driver is loaded; an empty slice is published until it is", said)
        self._say(f"found {len(inventory.gpus)} GPUs, {len(listing.devices)} devices", said, level=logging.INFO)
        for problem in inventory.problems:
            self._say(f"{problem.path} {problem.reason}; costs {problem.costs}", said)
        for item in listing.withheld:
            if self._say(f"withheld: {item.what}: {item.detail}", said, item.reason):
                self._agents.events.emit(item.reason, f"withheld: {item.what}: {item.detail}")
        for name in sorted(refused):
            self._say(f"attribute {name} is left out: longer than 64 bytes, or not printable", said)

    def _say(self, text: str, said: set[str], reason: str = "", level: int = logging.WARNING) -> bool:
        """Logs a line that was not said before; whether it was not."""
        self._reported.add(text)
        if text in said:
            return False
        _LOG.log(level, "%s", text, extra=facts(reason=reason) if reason else None)
        return True

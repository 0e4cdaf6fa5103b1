"""Joins agents and edges. The fields of `Edges` let the type checker prove that each edge fulfils its port."""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from amdgpu_dra.agent.claims import Answer, ClaimRef, telling
from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.api.metrics import EVENTS, FINDINGS
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.apps.kubelet_plugin.adapters import SysfsModes, SysfsTree, SystemClock
from amdgpu_dra.apps.kubelet_plugin.agents import Agents, Edges, make_agents
from amdgpu_dra.apps.kubelet_plugin.flags import Options
from amdgpu_dra.apps.kubelet_plugin.main import VERSION
from amdgpu_dra.apps.kubelet_plugin.meters import (
    Calls,
    count_requests,
    count_switches,
    put_generations,
    put_state,
    timed,
)
from amdgpu_dra.core.slices import DRIVER
from amdgpu_dra.edge.disk import CdiDirectory, InstanceFile, RecordFiles
from amdgpu_dra.edge.kube import Connection, KubeApi
from amdgpu_dra.edge.kubelet import HealthServer, HealthState, KubeletServer, ResourceHealth, Sockets
from amdgpu_dra.edge.sysfs import DeviceRoot, ModeFiles, Uevents

if TYPE_CHECKING:
    from amdgpu_dra.edge.telemetry.metrics import MetricsServer


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugin:
    """The parts of the process."""

    agents: Agents
    uevents: Uevents
    kubelet: KubeletServer
    health: HealthServer
    connection: Connection
    metrics: "MetricsServer | None"
    instances: InstanceFile


def wire(options: Options) -> Plugin:
    """Makes every part; nothing listens yet.

    Raises:
        UsageError: a flag cannot be right on this machine.
        HostError: a folder cannot be made.
    """
    # What cannot be right is refused before a folder is made.
    _check_credentials(options)
    device_root = DeviceRoot(options.dev_root, allow_fake=options.allow_fake_device_nodes)
    sockets = Sockets.of(
        DRIVER,
        plugins=options.kubelet_plugins_directory_path,
        registrar=options.kubelet_registrar_directory_path,
        pod_uid=options.pod_uid,
    )
    instances = InstanceFile(f"{options.kubelet_plugins_directory_path}/{DRIVER}")
    connection, uevents = Connection(options.kubeconfig), Uevents()
    agents = make_agents(_edges(options, connection, device_root, uevents, instances), options, boot_id=_boot_id())
    metrics = _metrics(options)
    kubelet = _kubelet(options, sockets, instances, agents, metrics)
    if metrics is not None:
        _measure(metrics, agents, connection, kubelet)
    checks = {
        "": kubelet.find_problem,
        "liveness": kubelet.find_problem,
        "readiness": _readiness(kubelet, agents),
    }
    return Plugin(
        agents=agents,
        uevents=uevents,
        kubelet=kubelet,
        health=HealthServer(checks),
        connection=connection,
        metrics=metrics,
        instances=instances,
    )


def _edges(
    options: Options, connection: Connection, nodes: DeviceRoot, uevents: Uevents, instances: InstanceFile
) -> Edges:
    kube = KubeApi(connection, driver=DRIVER, node=options.node_name)
    # On a fake tree the processes are those of whoever made it, here.
    same_pids = True if options.allow_fake_device_nodes else None
    return Edges(
        clock=SystemClock(),
        tree=SysfsTree(options.sysfs_root),
        hotplug=uevents,
        modes=SysfsModes(ModeFiles(options.sysfs_root, dev_root=options.dev_root, same_pids=same_pids)),
        nodes=nodes,
        store=RecordFiles(f"{options.kubelet_plugins_directory_path}/{DRIVER}/claims", writer=VERSION),
        cdi=CdiDirectory(options.cdi_root),
        instances=instances,
        claims=kube,
        slices=kube,
        events=kube,
    )


def _kubelet(
    options: Options, sockets: Sockets, instances: InstanceFile, agents: Agents, metrics: "MetricsServer | None"
) -> KubeletServer:
    """The kubelet's side; its calls go to the claims, are told by Events, and timed."""
    events, claims = agents.events, agents.claims
    unprepare = telling(events, claims.unprepare, always=Reason.UNPREPARE_FAILED)
    kubelet = KubeletServer(
        DRIVER,
        sockets,
        prepare=timed(metrics, "Prepare", _by_ref(telling(events, claims.prepare))),
        unprepare=timed(metrics, "Unprepare", _by_ref(unprepare)),
        health=ResourceHealth(options.node_name, agents.board.watch),
    )
    kubelet.guard, kubelet.is_replaced = instances.exclusive, lambda: not instances.leads
    kubelet.registration.on_refused = partial(events.emit, Reason.REGISTRATION_REFUSED)
    return kubelet


def _measure(metrics: "MetricsServer", agents: Agents, connection: Connection, kubelet: KubeletServer) -> None:
    connection.on_request = count_requests(metrics)
    agents.publisher.on_generation = partial(put_generations, metrics, agents.publisher)
    agents.events.on_event = partial(metrics.count, EVENTS)
    agents.switcher.on_switch = count_switches(metrics)
    agents.verifier.on_finding = partial(metrics.count, FINDINGS)
    metrics.on_scrape = partial(put_state, metrics, agents.claims, agents.verifier, kubelet)


def _by_ref(call: Callable[[Iterable[ClaimRef]], Awaitable[Mapping[str, Answer]]]) -> Calls:
    """A call of the claims' in the kubelet's words."""

    async def called(ids: Iterable[tuple[str, str, str]]) -> Mapping[str, Answer]:
        return await call(ClaimRef(*ident) for ident in ids)

    return called


def _metrics(options: Options) -> "MetricsServer | None":
    if options.metrics_port < 0:
        return None
    from amdgpu_dra.edge.telemetry.metrics import MetricsServer  # noqa: PLC0415 - costs memory

    return MetricsServer()


def _check_credentials(options: Options) -> None:
    """Finds at start, and at no cost, what would fail at every request."""
    paths = [options.kubeconfig, *options.kubeconfig.split(os.pathsep)]
    if options.kubeconfig and not any(map(os.path.isfile, paths)):
        raise UsageError(
            f"flag --kubeconfig {options.kubeconfig}",
            expected="a kubeconfig file",
            found="no such file",
            action="name one, or leave the flag out in a pod",
        )
    if not options.kubeconfig and not os.environ.get("KUBERNETES_SERVICE_HOST"):
        raise UsageError(
            "credentials for the API server",
            expected="--kubeconfig, or a pod with a service account",
            found="neither",
            action="set --kubeconfig or KUBECONFIG",
        )


def _boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _readiness(kubelet: KubeletServer, agents: Agents) -> HealthState:
    claims, survey, publisher = agents.claims, agents.survey, agents.publisher

    async def state() -> str | None:
        if not kubelet.registration.registered:
            return f"not registered by the kubelet {kubelet.registration.error}".rstrip()
        if claims.not_ready:
            return claims.not_ready
        # Only of the first reading: what is published stays, whatever a later one says.
        return survey.problem if survey.inventory is None else publisher.not_ready

    return state

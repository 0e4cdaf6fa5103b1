"""Joins agents and edges. The typed assignments let the type checker prove that each edge fulfils its port."""

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from amdgpu_dra.agent.claims import (
    Answer,
    ClaimManager,
    ClaimRef,
    PacedClaims,
    Paths,
    PatientClaims,
    Rescan,
    Survey,
    Switcher,
    Verifier,
    World,
    telling,
)
from amdgpu_dra.agent.events import EventQueue
from amdgpu_dra.agent.health import HealthBoard
from amdgpu_dra.agent.ports import (
    CdiFolder,
    ClaimApi,
    Clock,
    DeviceNodes,
    EventApi,
    Events,
    GpuTree,
    Hotplug,
    Instances,
    PartitionSwitch,
    RecordStore,
    SliceApi,
)
from amdgpu_dra.agent.publish import Publisher
from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.api.metrics import EVENTS, FINDINGS
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.apps.kubelet_plugin.adapters import SysfsModes, SysfsTree, SystemClock
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

    survey: Survey
    switcher: Switcher
    rescan: Rescan
    uevents: Uevents
    events: EventQueue
    clock: Clock
    claims: ClaimManager
    verifier: Verifier
    publisher: Publisher
    board: HealthBoard
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
    file = InstanceFile(f"{options.kubelet_plugins_directory_path}/{DRIVER}")
    instances: Instances = file
    connection = Connection(options.kubeconfig)
    kube = KubeApi(connection, driver=DRIVER, node=options.node_name)
    slice_api: SliceApi = kube
    event_api: EventApi = kube
    clock: Clock = SystemClock()
    publisher = Publisher(slice_api, clock, node=options.node_name, with_counters=options.dynamic_partitioning)
    publisher.leads = lambda: instances.leads
    metrics = _metrics(options)
    if metrics is not None:
        connection.on_request = count_requests(metrics)
        publisher.on_generation = partial(put_generations, metrics, publisher)
    tree: GpuTree = SysfsTree(options.sysfs_root)
    survey = Survey(tree, instances)
    uevents = Uevents()
    hotplug: Hotplug = uevents
    events = EventQueue(event_api, clock)
    switcher = _switcher(options, survey, clock, events)
    paths = Paths(node=options.node_name, dev_root=options.dev_root, boot_id=_boot_id())
    world = _world(options, kube, device_root, clock, instances)
    claims = ClaimManager(paths, world, survey, switcher)
    board = HealthBoard(clock, interval=options.rescan_interval)
    kubelet = KubeletServer(
        DRIVER,
        sockets,
        prepare=timed(metrics, "Prepare", _by_ref(telling(events, claims.prepare))),
        unprepare=timed(
            metrics, "Unprepare", _by_ref(telling(events, claims.unprepare, always=Reason.UNPREPARE_FAILED))
        ),
        health=ResourceHealth(options.node_name, board.watch),
    )
    kubelet.guard, kubelet.is_replaced = file.exclusive, lambda: not instances.leads
    publisher.on_event = events.emit
    kubelet.registration.on_refused = partial(events.emit, Reason.REGISTRATION_REFUSED)
    verifier = Verifier(paths, replace(world, api=PacedClaims(kube, clock)), survey, claims, events)
    verifier.on_withdrawn = board.withdraw
    if metrics is not None:
        events.on_event = partial(metrics.count, EVENTS)
        switcher.on_switch = count_switches(metrics)
        verifier.on_finding = partial(metrics.count, FINDINGS)
        metrics.on_scrape = partial(put_state, metrics, claims, verifier, kubelet)
    checks = {
        "": kubelet.find_problem,
        "liveness": kubelet.find_problem,
        "readiness": _readiness(kubelet, claims, survey, publisher),
    }
    return Plugin(
        survey=survey,
        switcher=switcher,
        rescan=Rescan(survey, switcher, tree, hotplug, clock, interval=options.rescan_interval),
        uevents=uevents,
        events=events,
        clock=clock,
        claims=claims,
        verifier=verifier,
        publisher=publisher,
        board=board,
        kubelet=kubelet,
        health=HealthServer(checks),
        connection=connection,
        metrics=metrics,
        instances=file,
    )


def _world(options: Options, kube: KubeApi, device_root: DeviceRoot, clock: Clock, instances: Instances) -> World:
    """What claims are carried out on."""
    api: ClaimApi = PatientClaims(kube, clock)
    nodes: DeviceNodes = device_root
    store: RecordStore = RecordFiles(f"{options.kubelet_plugins_directory_path}/{DRIVER}/claims", writer=VERSION)
    cdi: CdiFolder = CdiDirectory(options.cdi_root)
    return World(api=api, nodes=nodes, store=store, cdi=cdi, clock=clock, instances=instances)


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


def _switcher(options: Options, survey: Survey, clock: Clock, events: Events) -> Switcher:
    # On a fake tree the processes are those of whoever made it, here.
    same_pids = True if options.allow_fake_device_nodes else None
    files = ModeFiles(options.sysfs_root, dev_root=options.dev_root, same_pids=same_pids)
    modes: PartitionSwitch = SysfsModes(files)
    return Switcher(survey, modes, clock, events, idle_mode=options.idle_mode)


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


def _readiness(kubelet: KubeletServer, claims: ClaimManager, survey: Survey, publisher: Publisher) -> HealthState:
    async def state() -> str | None:
        if not kubelet.registration.registered:
            return f"not registered by the kubelet {kubelet.registration.error}".rstrip()
        if claims.not_ready:
            return claims.not_ready
        # Only of the first reading: what is published stays, whatever a later one says.
        return survey.problem if survey.inventory is None else publisher.not_ready

    return state

"""The agents of a plugin, joined with each other on whatever edges they are given."""

from dataclasses import dataclass, replace

from amdgpu_dra.agent.claims import (
    ClaimManager,
    PacedClaims,
    Paths,
    PatientClaims,
    Rescan,
    Survey,
    Switcher,
    Verifier,
    World,
)
from amdgpu_dra.agent.events import EventQueue
from amdgpu_dra.agent.health import HealthBoard
from amdgpu_dra.agent.ports import (
    CdiFolder,
    ClaimApi,
    Clock,
    DeviceNodes,
    EventApi,
    GpuTree,
    Hotplug,
    Instances,
    PartitionSwitch,
    RecordStore,
    SliceApi,
)
from amdgpu_dra.agent.publish import Publisher
from amdgpu_dra.apps.kubelet_plugin.flags import Options


@dataclass(frozen=True, slots=True, kw_only=True)
class Edges:
    """What agents work on."""

    clock: Clock
    tree: GpuTree
    hotplug: Hotplug
    modes: PartitionSwitch
    nodes: DeviceNodes
    store: RecordStore
    cdi: CdiFolder
    instances: Instances
    claims: ClaimApi
    slices: SliceApi
    events: EventApi


@dataclass(frozen=True, slots=True, kw_only=True)
class Agents:
    """The agents of one process."""

    clock: Clock
    events: EventQueue
    survey: Survey
    switcher: Switcher
    rescan: Rescan
    claims: ClaimManager
    verifier: Verifier
    publisher: Publisher
    board: HealthBoard


def make_agents(edges: Edges, options: Options, *, boot_id: str) -> Agents:
    """The agents of a node's process; nothing is asked or read yet. `boot_id` is the kernel's."""
    clock, instances = edges.clock, edges.instances
    survey = Survey(edges.tree, instances)
    events = EventQueue(edges.events, clock)
    switcher = Switcher(survey, edges.modes, clock, events, idle_mode=options.idle_mode)
    paths = Paths(node=options.node_name, dev_root=options.dev_root, boot_id=boot_id)
    world = World(
        api=PatientClaims(edges.claims, clock),
        nodes=edges.nodes,
        store=edges.store,
        cdi=edges.cdi,
        clock=clock,
        instances=instances,
    )
    claims = ClaimManager(paths, world, survey, switcher)
    publisher = Publisher(edges.slices, clock, node=options.node_name, with_counters=options.dynamic_partitioning)
    publisher.leads = lambda: instances.leads
    publisher.on_event = events.emit
    board = HealthBoard(clock, interval=options.rescan_interval)
    verifier = Verifier(paths, replace(world, api=PacedClaims(edges.claims, clock)), survey, claims, events)
    verifier.on_withdrawn = board.withdraw
    return Agents(
        clock=clock,
        events=events,
        survey=survey,
        switcher=switcher,
        rescan=Rescan(survey, switcher, edges.tree, edges.hotplug, clock, interval=options.rescan_interval),
        claims=claims,
        verifier=verifier,
        publisher=publisher,
        board=board,
    )

"""`create`: a cluster with fake GPUs in its nodes, or a look at the one that KUBECONFIG names."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet
from harness.cluster import Cluster, Setting
from harness.commands.session import Teller, hint
from harness.driver import TREES, make_nodes, write_trees
from harness.host import KUBECONFIG_WAY, CommandError, choose_pieces
from harness.state import Place, State, StateError
from harness.ways import Way, is_lab_left, way_of

DEFAULT_FLEET = "mi300x-8-spx"
_GROUP = "resource.k8s.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a cluster is."""

    server: str
    version: str
    nodes: Sequence[str]
    ready: int
    served: Sequence[str]

    def __str__(self) -> str:
        nodes = f"{len(self.nodes)} node{'s' if len(self.nodes) != 1 else ''}, {self.ready} ready"
        served = ", ".join(self.served) or "not served"
        return f"{self.server}, Kubernetes {self.version}, {nodes}, {_GROUP}: {served}"


def create(place: Place, teller: Teller, *, way: str, fleet: str) -> None:
    """Makes the cluster; on any failure nothing of it is left.

    Args:
        place: where it is kept.
        teller: hears of each step.
        way: `docker`, `podman`, `kubeconfig`, or empty for what this machine has.
        fleet: of the tree in its nodes; empty for the default.

    Raises:
        UsageError: something is missing on this machine, or there is a cluster already.
        CommandError: a step failed.
    """
    with place.taken():
        _refuse_second(place)
        chosen = way_of(choose_pieces(way))
        makes = chosen.pieces.provider != KUBECONFIG_WAY
        fleet = check_fleet(fleet or DEFAULT_FLEET) if makes else _no_fleet(fleet)
        chosen.check(place.name)
        teller.step(chosen.title)
        state = State(
            name=place.name, way=chosen.pieces.provider, ready=False, pieces=chosen.pieces, fleet=fleet if makes else ""
        )
        place.write(state)
        try:
            found = _make(place, chosen, state, teller)
        except BaseException:
            teller.step("failed; taking away what was made")
            chosen.clear(place.name, place.folder)
            place.remove()
            raise
    _say_next(place, teller, found, makes=makes)


def check_fleet(fleet: str) -> str:
    """A bundled fleet's name. Raises UsageError for any other."""
    if fleet not in bundled_fleets():
        raise UsageError(
            "--fleet", expected=f"one of {', '.join(bundled_fleets())}", found=fleet, action="choose one of them"
        )
    return fleet


def _no_fleet(fleet: str) -> str:
    if fleet:
        raise UsageError(
            "--fleet",
            expected="none: nothing is put into the nodes of a cluster that is there",
            found=fleet,
            action="leave it out, and give it to install -- --fake",
        )
    return fleet


def _refuse_second(place: Place) -> None:
    try:
        state = place.read()
        half = state is not None and not state.ready
    except StateError:
        state, half = None, True
    if state is None and not half and not is_lab_left(place.folder):
        return
    if state is not None and state.ready:
        found, action = f"one by {way_of(state.pieces).title}", f"go on with {hint('load', place.name)}"
    else:
        found, action = "a half made one", "take it away"
    raise UsageError(
        f"cluster {place.name}",
        expected="none of this name",
        found=found,
        action=f"{action}; {hint('delete', place.name)} takes it away, --name makes another beside it",
    )


def _make(place: Place, way: Way, state: State, teller: Teller) -> Found:
    host = way.start(place.folder, kept=True)
    state = replace(state, lab=host.lab)
    place.write(state)
    cluster = Cluster(host, way.pieces, place.name)
    if state.fleet:
        fleet = read_fleet(state.fleet)
        teller.step(f"fake GPUs {fleet.name}: {len(fleet.gpus)} in {TREES}/{fleet.name} of the node")
        write_trees(place.folder, fleet)
        cluster.create(Setting(mounts={TREES: place.folder / "trees"}), teller.step)
        make_nodes(cluster, fleet)
    found = look_at(cluster)
    if not found.served:
        raise UsageError(
            f"the cluster {found.server}",
            expected=f"{_GROUP} to be served",
            found=f"Kubernetes {found.version} without it",
            action="take a cluster of Kubernetes 1.34 or newer, or turn DynamicResourceAllocation on in an older one",
        )
    place.write(replace(state, ready=True))
    return found


def look_at(cluster: Cluster) -> Found:
    """What the cluster is. Raises UsageError if its API server does not answer."""
    try:
        version = json.loads(cluster.kubectl("version", "-o", "json", "--request-timeout=10s", timeout=30))
        nodes = cluster.get("nodes")
        versions = cluster.kubectl("api-versions").split()
        view = json.loads(cluster.kubectl("config", "view", "-o", "json"))
    except CommandError as error:
        raise UsageError(
            "the cluster that KUBECONFIG names",
            expected="an API server that answers, and the right to list its nodes",
            found=str(error),
            action="check it by `kubectl get nodes`, or choose another context",
        ) from error
    conditions = [{item["type"]: item["status"] for item in node["status"].get("conditions", [])} for node in nodes]
    return Found(
        server=view["clusters"][0]["cluster"]["server"],
        version=version["serverVersion"]["gitVersion"],
        nodes=[node["metadata"]["name"] for node in nodes],
        ready=sum(each.get("Ready") == "True" for each in conditions),
        served=[each.removeprefix(f"{_GROUP}/") for each in versions if each.startswith(f"{_GROUP}/")],
    )


def _say_next(place: Place, teller: Teller, found: Found, *, makes: bool) -> None:
    teller.step("done")
    teller.say(f"\nCluster {place.name}: {found}")
    if makes:
        teller.say(f"Next: put the images into it    {hint('load', place.name)}")
    else:
        image = "--image=REGISTRY/REPOSITORY:TAG"
        teller.say("Next: push the images           ./bazelw run //images:push -- REGISTRY/REPOSITORY TAG")
        teller.say(f"      and install the driver    {hint('install', place.name, image)}")
        teller.say("      without AMD GPUs add      --fake")
    teller.say(f"Look at it:                     {hint('kubectl', place.name, 'get', 'pods', '-A')}")
    teller.say(f"Take it away:                   {hint('delete', place.name)}")

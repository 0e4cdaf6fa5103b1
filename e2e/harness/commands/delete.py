"""`delete`: takes a cluster away wholly, also a half made one; of one that is not ours only what `install` made."""

from contextlib import suppress
from pathlib import Path

from amdgpu_dra.api.errors import UsageError
from harness.cluster import Cluster
from harness.commands.session import Teller, hint, no_cluster
from harness.commands.uninstall import uninstall, users_of_driver
from harness.host import KUBECONFIG_WAY, CommandError, MachineHost, choose_pieces
from harness.labhost import clear_lab
from harness.state import Place, State, StateError
from harness.ways import is_lab_left, lab_name, way_of


def delete(place: Place, teller: Teller) -> None:
    """Returns when nothing of it is left.

    Raises:
        UsageError: there is nothing, or pods use what would go.
        CommandError: something stays; calling it once more goes on.
    """
    with place.taken():
        try:
            state = place.read()
        except StateError as error:
            teller.step(f"{place.folder}/state.json cannot be read: {error}")
            state = None
        if state is None:
            _clear_unknown(place, teller)
        elif state.way == KUBECONFIG_WAY:
            _leave(place, state, teller)
        else:
            teller.step(f"cluster {place.name}, {way_of(state.pieces).title}")
            way_of(state.pieces).clear(place.name, place.folder)
        teller.step(f"folder {place.folder}")
        place.remove()
    teller.step("done: nothing of it is left")


def _clear_unknown(place: Place, teller: Teller) -> None:
    """What can be found without a state: processes by their cgroup, nodes of Docker by the cluster's name."""
    left = sorted(path.name for path in place.folder.iterdir())
    if not left and not is_lab_left(place.folder):
        raise no_cluster(place, f"name it by --name, or make one: {hint('create', place.name)}")
    teller.step("what is left of a cluster without a state")
    root = "/"
    with suppress(UsageError):
        pieces = choose_pieces("")
        if pieces.provider == "docker" and "state.json" in left:
            way_of(pieces).clear(place.name, place.folder)
        root = pieces.host or root
    clear_lab(place.folder, Path(root), lab_name(place.folder))


def _leave(place: Place, state: State, teller: Teller) -> None:
    """The cluster stays; what `install` made goes."""
    if state.installation is None:
        teller.step("nothing was installed; the cluster stays as it is")
        return
    cluster = Cluster(MachineHost(place.folder), state.pieces, place.name)
    try:
        users = users_of_driver(cluster)
    except CommandError as error:
        raise UsageError(
            f"cluster {place.name}",
            expected="an API server that answers, to uninstall the driver",
            found=str(error),
            action=f"make it reachable and call this again; or, if it is gone for ever, rm -r {place.folder}",
        ) from error
    if users:
        raise UsageError(
            f"cluster {place.name}",
            expected="no pod with a claim of the driver: its kubelet could not release it",
            found=", ".join(users),
            action="delete these pods first",
        )
    uninstall(cluster, state.installation, teller)

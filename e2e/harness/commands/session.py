"""What every command begins with: the cluster of a name as it was kept, or what to do first."""

import time
from dataclasses import dataclass, field

from amdgpu_dra.api.errors import UsageError
from harness.cluster import Cluster
from harness.state import Place, State, StateError, list_places
from harness.ways import Way, way_of

DEFAULT_NAME = "amdgpu-dra"
_TARGET = "./bazelw run //e2e/kind:"


@dataclass(frozen=True, slots=True)
class Teller:
    """Says what is done while it is done, with the seconds since the start."""

    start: float = field(default_factory=time.monotonic)

    def step(self, line: str) -> None:
        """A step that begins now."""
        print(f"{time.monotonic() - self.start:6.1f} s  {line}", flush=True)

    def say(self, line: str = "") -> None:
        """A line for the user."""
        print(line, flush=True)


def hint(verb: str, name: str, *arguments: str) -> str:
    """The command line of a command for the cluster of a name."""
    more = [*([] if name == DEFAULT_NAME else [f"--name={name}"]), *arguments]
    return " ".join([f"{_TARGET}{verb}", *(["--", *more] if more else [])])


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A cluster that was created, and where it is kept."""

    place: Place
    state: State
    way: Way
    cluster: Cluster

    @property
    def name(self) -> str:
        """The cluster's name."""
        return self.state.name


def no_cluster(place: Place, action: str) -> UsageError:
    """There is no cluster of this name; which there are."""
    others = [name for name in list_places() if name != place.name]
    found = f"only {', '.join(others)}" if others else "none"
    return UsageError(f"cluster {place.name}", expected="one that create made", found=found, action=action)


def read_state(place: Place) -> State:
    """What `create` kept.

    Raises:
        UsageError: nothing, half of it, or what cannot be understood; says what to run.
    """
    try:
        state = place.read()
    except StateError as error:
        raise UsageError(
            f"{place.folder}/state.json",
            expected="what create wrote",
            found=str(error),
            action=f"take away what is left: {hint('delete', place.name)}",
        ) from error
    if state is None:
        raise no_cluster(place, f"make it: {hint('create', place.name)}")
    if not state.ready:
        raise UsageError(
            f"cluster {place.name}",
            expected="one that create has finished",
            found="a half made one: create was ended",
            action=f"take it away, then create it anew: {hint('delete', place.name)}",
        )
    return state


def open_session(place: Place) -> Session:
    """The cluster that `create` made. Raises UsageError where there is none, or it is gone."""
    state = read_state(place)
    way = way_of(state.pieces)
    cluster = Cluster(way.attach(place.folder, state.lab), state.pieces, place.name)
    return Session(place=place, state=state, way=way, cluster=cluster)

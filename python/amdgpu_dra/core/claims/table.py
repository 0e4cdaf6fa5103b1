"""The machine of a claim as a table: states and events → idempotent effects.

The rule that makes a crash after any effect harmless: the intent is saved before the first effect, the result after the
last. Whatever record is found at a restart, the same event again leads to the same end.
"""

from enum import Enum, auto

from amdgpu_dra.api.checkpoint import State


class Event(Enum):
    """What the kubelet asks for."""

    PREPARE = auto()
    UNPREPARE = auto()


class Effect(Enum):
    """One step; doing it twice is doing it once."""

    SAVE_PREPARING = auto()
    # Brings GPUs into the modes of the claim's devices, and reads back from KFD that they are.
    SWITCH_MODE = auto()
    CHECK_NODES = auto()
    WRITE_CDI = auto()
    SAVE_READY = auto()
    SAVE_UNPREPARING = auto()
    DROP_CDI = auto()
    DROP_RECORD = auto()


_PREPARE = (Effect.SAVE_PREPARING, Effect.SWITCH_MODE, Effect.CHECK_NODES, Effect.WRITE_CDI, Effect.SAVE_READY)
_UNPREPARE = (Effect.SAVE_UNPREPARING, Effect.DROP_CDI, Effect.DROP_RECORD)

TABLE: dict[tuple[str, Event], tuple[Effect, ...]] = {
    (State.ABSENT, Event.PREPARE): _PREPARE,
    (State.PREPARING, Event.PREPARE): _PREPARE,
    # Prepared already: the document is compared and written again if it was lost or no longer fits. Modes do not
    # outlive a reboot, so a GPU may have to be switched again.
    (State.READY, Event.PREPARE): (Effect.SWITCH_MODE, Effect.CHECK_NODES, Effect.WRITE_CDI),
    (State.UNPREPARING, Event.PREPARE): _PREPARE,
    (State.LOST, Event.PREPARE): _PREPARE,
    # Nobody's claim may still have a document, of a driver that lost its records.
    (State.ABSENT, Event.UNPREPARE): (Effect.DROP_CDI,),
    (State.PREPARING, Event.UNPREPARE): _UNPREPARE,
    (State.READY, Event.UNPREPARE): _UNPREPARE,
    (State.UNPREPARING, Event.UNPREPARE): _UNPREPARE,
    (State.LOST, Event.UNPREPARE): _UNPREPARE,
}


def effects_of(state: str, event: Event) -> tuple[Effect, ...]:
    """The effects of an event in a state.

    Raises:
        KeyError: no such state.
    """
    return TABLE[state, event]

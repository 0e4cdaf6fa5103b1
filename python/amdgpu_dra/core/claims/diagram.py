"""Draws the table of `table.py` for the docs."""

from collections.abc import Iterator

from amdgpu_dra.api.checkpoint import State
from amdgpu_dra.core.claims.table import TABLE, Effect

_LEADS_TO = {
    Effect.SAVE_PREPARING: State.PREPARING,
    Effect.SAVE_READY: State.READY,
    Effect.SAVE_UNPREPARING: State.UNPREPARING,
    Effect.DROP_RECORD: State.ABSENT,
}
_HEAD = """# States of a claim

What the plugin does when the kubelet prepares or unprepares a claim. An arrow is what happens in one go between two \
states on disk; a crash leaves the claim in the state at its start, and the same call again goes on from there. \
A claim is Lost that has a CDI document and no record. One whose record is of a newer driver is answered with an error.

"""


def draw_states() -> str:
    """The text of `docs/reference/claim-states.md`: a diagram, and the table it is drawn from."""
    arrows = dict.fromkeys(f"    {start} --> {end}: {label}" for start, end, label in _arrows())
    rows = [
        f"| {state} | {event.name.capitalize()} | {', '.join(_word(effect) for effect in effects)} |"
        for (state, event), effects in TABLE.items()
    ]
    diagram = ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.ABSENT}", *arrows, "```"]
    table = ["| state | call | effects, in this order |", "|---|---|---|", *rows]
    return _HEAD + "\n".join([*diagram, "", *table]) + "\n"


def _arrows() -> Iterator[tuple[str, str, str]]:
    """Start, end and label of each step from one state on disk to the next."""
    for (state, event), effects in TABLE.items():
        start, done = state, list[str]()
        for effect in effects:
            done.append(_word(effect))
            if effect in _LEADS_TO:
                yield start, _LEADS_TO[effect], f"{event.name.capitalize()} / {', '.join(done)}"
                start, done = _LEADS_TO[effect], []
        if done:
            yield start, start, f"{event.name.capitalize()} / {', '.join(done)}"


def _word(effect: Effect) -> str:
    return effect.name.lower().replace("_", " ").replace("cdi", "CDI")

"""What tracer and test tell each other, by two files."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """The `count`-th time that an effect is begun in a phase."""

    phase: str
    effect: str
    count: int

    def __str__(self) -> str:
        return f"{self.phase}: {self.effect} #{self.count}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What the tracer does: names what it sees by a phase, and kills at a point, on one side of it."""

    phase: str
    kill: Point | None = None
    side: str = BEFORE


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A point that was passed, and what the call came to: negative for an errno; or where the process was killed."""

    point: Point
    outcome: int = 0
    killed: str = ""


class Control:
    """Both files, in a folder."""

    def __init__(self, folder: Path) -> None:
        self._order, self._log = folder / "order.json", folder / "seen.jsonl"

    def give(self, order: Order) -> None:
        """From the next effect on."""
        new = self._order.with_suffix(".new")
        new.write_text(json.dumps(asdict(order)), encoding="utf-8")
        new.replace(self._order)

    def take(self) -> Order:
        """The order of now."""
        raw = json.loads(self._order.read_text(encoding="utf-8"))
        kill = None if raw["kill"] is None else Point(**raw["kill"])
        return Order(phase=raw["phase"], kill=kill, side=raw["side"])

    def tell(self, seen: Seen) -> None:
        """Adds a line."""
        handle = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(handle, json.dumps(asdict(seen)).encode() + b"\n")
        finally:
            os.close(handle)

    def read(self) -> list[Seen]:
        """All that was told, in order."""
        if not self._log.exists():
            return []
        lines = [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]
        return [Seen(point=Point(**raw["point"]), outcome=raw["outcome"], killed=raw["killed"]) for raw in lines]

    def clear(self) -> None:
        """Forgets what was told."""
        self._log.unlink(missing_ok=True)

"""Draws `docs/pictures/claim.svg`, the parts of the driver and the way of a claim: `./bazelw run //docs:draw`.

The picture is a table of boxes and one of arrows; where they stand is all that this file decides.
"""

import html
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

WIDTH, HEIGHT = 960, 600
FILE = Path("docs/pictures/claim.svg")
# Of text of 13 px: a letter is at most so wide on average.
LETTER = 6.7
_RADIUS = 9

type Point = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Box:
    """A part: its upper left corner and size in pixels, what it is called, a word on it, and its fill."""

    x: float
    y: float
    w: float
    h: float
    name: str
    about: str = ""
    fill: str = "#ffffff"
    frame: bool = False

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.w

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.h


@dataclass(frozen=True, kw_only=True)
class Arrow:
    """What goes from part to part: its step in the text, a few words, its corners, and the middle of its label."""

    step: int
    label: str
    points: tuple[Point, ...]
    at: Point


_OTHER, _OURS, _PURE, _WORLD = "#f2f2f2", "#fde9e4", "#e3f0e1", "#e4ecf7"

BOXES = (
    Box(x=20, y=60, w=190, h=50, name="you", about="pod and claim", fill=_OTHER),
    Box(x=20, y=200, w=190, h=70, name="API server", about="slices, claims, pods", fill=_OTHER),
    Box(x=20, y=370, w=190, h=50, name="scheduler", about="chooses devices", fill=_OTHER),
    Box(x=290, y=20, w=650, h=560, name="node", frame=True),
    Box(x=310, y=200, w=130, h=70, name="kubelet", fill=_OTHER),
    Box(x=310, y=420, w=130, h=50, name="runtime", about="containerd, CRI-O", fill=_OTHER),
    Box(x=310, y=515, w=130, h=50, name="container", about="three device nodes", fill=_OTHER),
    Box(x=590, y=50, w=330, h=290, name="plugin", frame=True, fill=_OURS),
    Box(x=610, y=85, w=290, h=40, name="apps", about="flags, wiring, start and stop", fill="#ffffff"),
    Box(x=610, y=137, w=140, h=62, name="agent", about="procedures", fill="#ffffff"),
    Box(x=760, y=137, w=140, h=62, name="edge", about="touches the world", fill=_WORLD),
    Box(x=610, y=211, w=290, h=50, name="core", about="decides: facts in, plans out", fill=_PURE),
    Box(x=610, y=273, w=290, h=50, name="api", about="words shared with others", fill=_PURE),
    Box(x=590, y=420, w=140, h=62, name="disk", about="records, CDI specs", fill=_OTHER),
    Box(x=760, y=420, w=160, h=62, name="amdgpu", about="sysfs, KFD, /dev", fill=_OTHER),
)

ARROWS = (
    Arrow(step=1, label="reads GPUs", points=((890, 420), (890, 340)), at=(885, 395)),
    Arrow(step=1, label="publishes slices", points=((590, 160), (250, 160), (250, 215), (210, 215)), at=(440, 160)),
    Arrow(step=2, label="asks for GPUs", points=((115, 110), (115, 200)), at=(115, 150)),
    Arrow(step=2, label="allocates", points=((115, 370), (115, 270)), at=(115, 320)),
    Arrow(step=3, label="pod", points=((210, 235), (310, 235)), at=(262, 235)),
    Arrow(step=3, label="prepare", points=((440, 220), (590, 220)), at=(515, 220)),
    Arrow(step=3, label="saves, writes CDI", points=((640, 340), (640, 420)), at=(650, 380)),
    Arrow(step=3, label="switches mode", points=((790, 340), (790, 420)), at=(795, 365)),
    Arrow(step=4, label="CDI ids", points=((375, 270), (375, 420)), at=(375, 340)),
    Arrow(step=4, label="CDI spec", points=((590, 445), (440, 445)), at=(515, 445)),
    Arrow(step=4, label="injects", points=((375, 470), (375, 515)), at=(375, 492)),
    Arrow(step=5, label="unprepare", points=((440, 250), (590, 250)), at=(515, 250)),
)


def draw() -> str:
    """The picture as SVG."""
    return "\n".join([*_head(), *_lines(map(_box, BOXES)), *_lines(map(_arrow, ARROWS)), "</svg>", ""])


def _head() -> Iterator[str]:
    size = f'width="{WIDTH}" height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}"'
    yield f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="13">'
    yield "<title>The parts of the driver, and the way of a claim</title>"
    yield '<defs><marker id="tip" markerWidth="9" markerHeight="9" refX="8" refY="4" orient="auto">'
    yield '<path d="M0,0 L8,4 L0,8 z" fill="#444444"/></marker></defs>'
    yield f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>'


def _lines(parts: Iterator[Iterator[str]]) -> Iterator[str]:
    for part in parts:
        yield from part


def _box(box: Box) -> Iterator[str]:
    place = f'x="{box.x}" y="{box.y}" width="{box.w}" height="{box.h}" rx="6"'
    yield f'<rect {place} fill="{box.fill}" stroke="#888888"/>'
    middle = box.x + box.w / 2
    if box.frame:
        yield _text(middle, box.y + 20, box.name, 'font-weight="bold"')
        return
    first = box.y + box.h / 2 + (-3 if box.about else 5)
    yield _text(middle, first, box.name, 'font-weight="bold"')
    if box.about:
        yield _text(middle, first + 17, box.about, 'fill="#444444"')


def _arrow(arrow: Arrow) -> Iterator[str]:
    path = " ".join(f"{x},{y}" for x, y in arrow.points)
    yield f'<polyline points="{path}" fill="none" stroke="#444444" stroke-width="1.4" marker-end="url(#tip)"/>'
    left, top, width, height = label_area(arrow)
    y = arrow.at[1]
    area = f'x="{left:.0f}" y="{top:.0f}" width="{width:.0f}" height="{height}"'
    yield f'<rect {area} rx="9" fill="#ffffff" opacity="0.9"/>'
    yield f'<circle cx="{left + _RADIUS:.0f}" cy="{y}" r="{_RADIUS}" fill="#c8102e"/>'
    yield _text(left + _RADIUS, y + 4, str(arrow.step), 'fill="#ffffff" font-size="11" font-weight="bold"')
    yield _text((left + 2 * _RADIUS + left + width) / 2, y + 4, arrow.label, 'font-size="12"')


def label_area(arrow: Arrow) -> tuple[float, float, float, float]:
    """Left, top, width and height of an arrow's label, its number included."""
    width = 2 * _RADIUS + 8 + len(arrow.label) * LETTER
    return arrow.at[0] - width / 2, arrow.at[1] - _RADIUS, width, 2 * _RADIUS


def _text(x: float, y: float, text: str, more: str) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" {more}>{html.escape(text)}</text>'


if __name__ == "__main__":
    (Path(os.environ.get("BUILD_WORKSPACE_DIRECTORY", ".")) / FILE).write_text(draw())

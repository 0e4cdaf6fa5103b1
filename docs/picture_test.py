"""The picture is drawn from its tables, says what the architecture says, and can be read."""

import re
import xml.etree.ElementTree as ET
from itertools import combinations
from pathlib import Path

import pytest
from picture import ARROWS, BOXES, FILE, HEIGHT, LETTER, WIDTH, Arrow, Box, draw, label_area

ROOT = Path("pyproject.toml").resolve().parent


def test_the_file_is_current() -> None:
    """docs/pictures/claim.svg is what the tables say; `./bazelw run //docs:draw` writes it anew."""
    assert (ROOT / FILE).read_text() == draw()


def test_it_is_svg() -> None:
    """It can be parsed, and every word of the tables is in it."""
    said = {element.text for element in ET.fromstring(draw()).iter() if element.text}  # noqa: S314

    assert {box.name for box in BOXES} | {arrow.label for arrow in ARROWS} <= said


def test_the_rings_are_the_folders() -> None:
    """The plugin has a box for each ring of the product, and for nothing else."""
    (plugin,) = [box for box in BOXES if box.name == "plugin"]
    inside = {box.name for box in BOXES if box is not plugin and _holds(plugin, box)}
    folders = {path.parent.name for path in (ROOT / "python/amdgpu_dra").glob("*/__init__.py")}

    assert inside == folders - {"testing"}


def test_its_numbers_are_the_steps_of_the_text() -> None:
    """The architecture's section has a step for each number, and the picture."""
    page = (ROOT / "docs/architecture.md").read_text()
    section = re.split(r"^## ", page.partition("## How a claim gets its GPU\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    steps = {int(number) for number in re.findall(r"^(\d+)\. ", section, re.MULTILINE)}

    assert FILE.name in section
    assert {arrow.step for arrow in ARROWS} == steps


def _holds(outer: Box, inner: Box) -> bool:
    return outer.x <= inner.x and inner.right <= outer.right and outer.y <= inner.y and inner.bottom <= outer.bottom


def _apart(one: Box, other: Box) -> bool:
    return one.right <= other.x or other.right <= one.x or one.bottom <= other.y or other.bottom <= one.y


def test_boxes_stand_apart_or_in_each_other() -> None:
    """No two boxes overlap in part, each is within the picture, and its words fit into it."""
    for one, other in combinations(BOXES, 2):
        assert _apart(one, other) or _holds(one, other) or _holds(other, one), (one.name, other.name)
    for box in BOXES:
        assert _holds(Box(x=0, y=0, w=WIDTH, h=HEIGHT, name=""), box), box.name
        assert max(len(box.name), len(box.about)) * LETTER <= box.w, box.name


def _area(arrow: Arrow) -> Box:
    x, y, w, h = label_area(arrow)
    return Box(x=x, y=y, w=w, h=h, name=arrow.label)


def test_labels_hide_nothing() -> None:
    """No label covers another, or the words of a box."""
    areas = [_area(arrow) for arrow in ARROWS]
    for one, other in combinations(areas, 2):
        assert _apart(one, other), (one.name, other.name)
    for area in areas:
        for box in BOXES:
            assert box.frame or _apart(area, box), (area.name, box.name)


@pytest.mark.parametrize("arrow", ARROWS, ids=lambda arrow: f"{arrow.step}-{arrow.label}")
def test_arrows_go_from_box_to_box(arrow: Arrow) -> None:
    """Both ends lie on the edge of a box, and every part of the line is level or upright."""
    for x, y in (arrow.points[0], arrow.points[-1]):
        assert any(
            (x in (box.x, box.right) and box.y <= y <= box.bottom)
            or (y in (box.y, box.bottom) and box.x <= x <= box.right)
            for box in BOXES
        ), (x, y)
    for (x, y), (u, v) in zip(arrow.points, arrow.points[1:], strict=False):
        assert (x == u) != (y == v)

"""What the project's own pages, examples, chart, scenarios and demo select by stands in selectors.json."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from amdgpu_dra.core.explain import CLASSES
from amdgpu_dra.testing.demo.allocate import Wish

_ROOT = Path(__file__).parents[4]
_KNOWN = {
    row["expression"]
    for row in json.loads((Path(__file__).parent / "testdata/selectors.json").read_text())["selectors"]
}
_FENCED = re.compile(r"^```ya?ml\n(.*?)^```", re.DOTALL | re.MULTILINE)


def _selectors(value: object) -> Iterator[str]:
    """Every `cel: {expression: …}` in a manifest or a part of one."""
    if isinstance(value, list):
        for item in value:
            yield from _selectors(item)
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "cel" and isinstance(item, dict):
                yield str(item["expression"])
            yield from _selectors(item)


def _of_page(path: Path) -> list[str]:
    return [
        text
        for block in _FENCED.findall(path.read_text())
        for part in yaml.safe_load_all(block)
        for text in _selectors(part)
    ]


def _of_manifest(path: Path) -> list[str]:
    return [text for part in yaml.safe_load_all(path.read_text()) for text in _selectors(part)]


def _unknown(found: dict[Path, list[str]]) -> dict[str, list[str]]:
    """By file what is missing in selectors.json; add rows, and cel_oracle_test shows their verdicts."""
    return {
        path.name: [text for text in texts if text not in _KNOWN]
        for path, texts in found.items()
        if not _KNOWN.issuperset(texts)
    }


def test_pages() -> None:
    """Every selector of a page of docs/ is one whose verdicts are recorded, and there are some."""
    found = {path: _of_page(path) for path in (_ROOT / "docs").rglob("*.md")}
    assert any(found.values())
    assert _unknown(found) == {}


def test_chart() -> None:
    """So it is with what the chart renders."""
    found = {path: _of_manifest(path) for path in (_ROOT / "charts/testdata/golden").glob("*.yaml")}
    assert any(found.values())
    assert _unknown(found) == {}


def test_scenarios() -> None:
    """So it is with the end-to-end scenarios."""
    found = {path: _of_manifest(path) for path in (_ROOT / "e2e/scenarios").glob("*.yaml")}
    assert any(found.values())
    assert _unknown(found) == {}


def test_examples() -> None:
    """And with the examples that users copy."""
    found = {path: _of_manifest(path) for path in (_ROOT / "docs/examples").glob("*.yaml")}
    assert any(found.values())
    assert _unknown(found) == {}


def test_demo() -> None:
    """So it is with the demo's classes and claims."""
    wishes = [
        Wish(name="product", select={"productName": "AMD_Instinct_MI300X_OAM"}),
        Wish(name="cut", select={"partitionProfile": "cpx_nps1"}),
    ]
    found = [text for wish in wishes for text in _selectors(wish.spec)]
    assert len(found) == len(wishes)
    classes = [text for item in CLASSES for text in _selectors(item)]
    assert len(classes) == len(CLASSES)
    assert [text for text in [*classes, *found] if text not in _KNOWN] == []

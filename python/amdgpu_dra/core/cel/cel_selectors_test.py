import json
from pathlib import Path

import pytest

from amdgpu_dra.core.cel import CelCompileError, CelRuntimeError, bind_device, compile_selector

_DATA = json.loads((Path(__file__).parent / "testdata/selectors.json").read_text())
_DEVICES = {name: bind_device(row["driver"], row["device"]) for name, row in _DATA["devices"].items()}


def _verdict(expression: str, device: str) -> bool | str:
    try:
        return compile_selector(expression).matches(_DEVICES[device])
    except CelCompileError:
        return "compile error"
    except CelRuntimeError:
        return "runtime error"


@pytest.mark.parametrize("row", _DATA["selectors"], ids=lambda row: row["expression"])
def test_realistic_selector(row: dict[str, object]) -> None:
    """What users of several vendors write gives Kubernetes' own verdict on every vendor's devices."""
    assert {name: _verdict(str(row["expression"]), name) for name in _DEVICES} == row["verdicts"]


def test_enough_selectors() -> None:
    """The file has sixty selectors or more, and among its verdicts all four kinds."""
    assert len({row["expression"] for row in _DATA["selectors"]}) >= 60
    found = {verdict for row in _DATA["selectors"] for verdict in row["verdicts"].values()}
    assert found == {True, False, "compile error", "runtime error"}

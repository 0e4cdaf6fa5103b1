import json
from pathlib import Path
from typing import Any

import pytest

from amdgpu_dra.apps.cli.__main__ import main

_CASE: dict[str, Any] = {
    "name": "empty",
    "node": {"metadata": {"name": "node"}},
    "features": {"AdminAccess": True},
    "expect": {"results": []},
}


def _write(folder: Path, *cases: dict[str, Any]) -> str:
    file = folder / "cases.jsonl"
    file.write_text("".join(json.dumps(case) + "\n" for case in cases))
    return str(file)


def test_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file of cases that agree is counted, and the status is 0."""
    assert main(["conformance", "allocator", _write(tmp_path, _CASE, _CASE)]) == 0
    assert capsys.readouterr().out == "cases.jsonl: 2 same, 0 different, 0 different and listed\n"


def test_different(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A case that differs is printed, and the status is 1."""
    assert main(["conformance", "allocator", _write(tmp_path, _CASE, _CASE | {"expect": {"error": "no"}})]) == 1
    out = capsys.readouterr().out
    assert out.startswith("empty: expected 'error', found []")
    assert out.endswith("cases.jsonl: 1 same, 1 different, 0 different and listed\n")


def test_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A difference that is listed with its reason does not count."""
    listed = tmp_path / "listed"
    listed.write_text("# known\nempty  because of the test\n")
    file = _write(tmp_path, _CASE | {"expect": {"error": "no"}})
    assert main(["conformance", "allocator", "--listed", str(listed), file]) == 0
    assert "0 same, 0 different, 1 different and listed" in capsys.readouterr().out


def test_unreadable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is no JSON ends with status 2 and says where it stands."""
    file = tmp_path / "cases.jsonl"
    file.write_text("{}\nno\n")
    assert main(["conformance", "cel", str(file)]) == 2
    assert f"{file}:2: expected a JSON object" in capsys.readouterr().err


def test_expressions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Cases of expressions are judged by verdict and phase."""
    case = {"id": "a", "expression": "1 == 1", "device": {"driver": "d"}, "options": {}, "expected": {"result": True}}
    assert main(["conformance", "cel", _write(tmp_path, case)]) == 0
    assert "1 same" in capsys.readouterr().out

"""The counting of test cases: what passes, fails, is skipped, and what excuses a skip."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(name="count")
def _count() -> ModuleType:
    path = next(Path.cwd().glob(".ci/count.py"))
    spec = importlib.util.spec_from_file_location("count", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _events(folder: Path, xml: str | None, status: str) -> Path:
    files = []
    if xml is not None:
        (folder / "test.xml").write_text(xml)
        files = [{"name": "test.xml", "uri": f"file://{folder}/test.xml"}]
    event = {
        "id": {"testResult": {"label": "//a:b", "shard": 1}},
        "testResult": {"status": status, "testActionOutput": files},
    }
    path = folder / "events.json"
    path.write_text(json.dumps(event) + "\n")
    return path


XML = """<testsuites><testsuite>
<testcase classname="m" name="good"/>
<testcase classname="m" name="bad"><failure message="why"/></testcase>
<testcase classname="m" name="not-here"><skipped message="folder is absent"/></testcase>
</testsuite></testsuites>"""


def test_cases_are_counted_by_outcome(count: ModuleType, tmp_path: Path) -> None:
    """Each case of a case file is passed, failed or skipped with its reason."""
    total = count.Count()
    for label, result in count.read_events(_events(tmp_path, XML, "FAILED")).items():
        count.count_target(label, result, total)

    assert (total.passed, total.failed) == (1, 1)
    assert total.skips == [("//a:b#1 m::not-here", "folder is absent")]


def test_a_target_that_names_no_failing_case_is_one_failure(count: ModuleType, tmp_path: Path) -> None:
    """A crash or a time-out, which leaves no failing case, is not lost."""
    total = count.Count()
    for label, result in count.read_events(_events(tmp_path, None, "TIMEOUT")).items():
        count.count_target(label, result, total)

    assert (total.passed, total.failed) == (0, 1)


@pytest.mark.parametrize(("holds", "failed"), [(True, 0), (False, 1)])
def test_a_skip_is_excused_only_while_its_condition_holds(
    count: ModuleType, monkeypatch: pytest.MonkeyPatch, *, holds: bool, failed: int
) -> None:
    """The condition is evaluated; the reason alone excuses nothing."""
    monkeypatch.setitem(count.CONDITIONS, "no-folder", lambda: holds)
    total = count.Count(skips=[("case", "folder is absent")])

    count.judge_skips(total, [("no-folder", re.compile("folder is absent"))])

    assert failed == total.failed


def test_a_run_that_failed_without_a_case_is_a_failure(count: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Bazel's own failure shows in the last line."""
    assert count.report(count.Count(passed=3), 1) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "3 passed, 1 failed"


def test_a_run_without_any_case_is_no_success(count: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing tested is not green."""
    assert count.report(count.Count(), 0) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "0 passed, 0 failed"

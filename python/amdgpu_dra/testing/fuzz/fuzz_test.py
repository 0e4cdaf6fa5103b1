"""Every parser answers, or refuses in its own words, whatever it is given; in work and memory that the input bounds."""

import json
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import CodeType, SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from amdgpu_dra.testing.fuzz import TARGETS, mutate, read_corpus
from amdgpu_dra.testing.fuzz.corpus import FOLDER, PRODUCT
from amdgpu_dra.testing.fuzz.server import get_server
from amdgpu_dra.testing.fuzz.targets import Target

NAMES = sorted(TARGETS)
TOOL = sys.monitoring.PROFILER_ID
# A tree of 35 kB is listed twice, with every partition of every mode.
MOST_LINES, LINES_A_BYTE = 100_000, 60
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@contextmanager
def _bounded(data: bytes) -> Iterator[None]:
    """Counts the lines of the product that are run: a measure of time that no busy machine changes."""
    lines = 0

    def note(code: CodeType, _line: int) -> object:
        nonlocal lines
        if not code.co_filename.startswith(PRODUCT):
            return sys.monitoring.DISABLE
        lines += 1
        return None

    sys.monitoring.use_tool_id(TOOL, "lines")
    sys.monitoring.register_callback(TOOL, sys.monitoring.events.LINE, note)
    sys.monitoring.set_events(TOOL, sys.monitoring.events.LINE)
    try:
        yield
    finally:
        sys.monitoring.set_events(TOOL, 0)
        sys.monitoring.free_tool_id(TOOL)
    assert lines <= MOST_LINES + LINES_A_BYTE * len(data), f"{lines} lines for {len(data)} bytes"


@pytest.mark.parametrize("name", NAMES)
def test_kept_inputs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What was once found, and what is right, is answered in bounded work and memory."""
    kept = read_corpus(name)
    assert kept
    for data in kept.values():
        # What is imported and computed once is no part of it.
        TARGETS[name].run(data)
        tracemalloc.start()
        with _bounded(data):
            TARGETS[name].run(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak <= 16_000_000 + 200 * len(data)
    capsys.readouterr()


@pytest.mark.parametrize("name", NAMES)
def test_spoiled_inputs(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Kept inputs with parts cut, doubled, exchanged and replaced by what parsers stumble over."""
    kept = list(read_corpus(name).values())

    @settings(max_examples=TARGETS[name].examples, deadline=None)
    @given(st.sampled_from(kept), st.sampled_from(kept), st.randoms(use_true_random=False))
    def spoil(data: bytes, other: bytes, random: Random) -> None:
        TARGETS[name].run(mutate(random, data, other))

    spoil()
    capsys.readouterr()


@pytest.mark.parametrize("name", NAMES)
def test_any_bytes_and_any_document(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes that have nothing to do with it, and documents of any shape."""

    @settings(max_examples=25, deadline=None)
    @given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
    def feed(data: bytes) -> None:
        TARGETS[name].run(data)

    feed()
    capsys.readouterr()


def test_a_claim_that_stands_twice_in_a_batch_has_one_answer() -> None:
    """As every other; and the one with a UID that is none fails alone."""
    server = get_server()
    answers = server.loop.run_until_complete(server.ask("a", "a", "../b"))

    assert answers["a"].error == ""
    assert "UID" in answers["../b"].error
    assert len(answers) == 2


def test_every_folder_has_its_target() -> None:
    """No kept input is left unread, and all of them together are small."""
    files = [path for path in FOLDER.rglob("*") if path.is_file()]

    assert {path.parent.name for path in files} == set(TARGETS)
    assert sum(path.stat().st_size for path in files) < 300_000


def _breaks(data: bytes) -> None:
    """As a parser that forgot that a list may be empty."""
    if data.startswith(b"{") and b"[]" in data:
        raise IndexError


def test_a_planted_defect_is_found(tmp_path: Path) -> None:
    """The search finds what a parser does not stand, and keeps the input."""
    from amdgpu_dra.testing.fuzz.__main__ import Run  # noqa: PLC0415 - a program

    broken: Callable[[bytes], None] = _breaks
    run = Run(Target(name="api_claim", reads="", run=broken), Random(1), tmp_path)
    for _ in range(2000):
        run.step(SimpleNamespace(lines=0))

    assert list(run.failures) == [f"IndexError at fuzz_test.py:{_breaks.__code__.co_firstlineno + 3}"]
    assert b"[]" in (tmp_path / "api_claim-0").read_bytes()

"""Log lines that a reader can take apart, and a scrape that has what was put."""

import json
import logging
import sys
from urllib.request import urlopen

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from amdgpu_dra.api.logs import facts
from amdgpu_dra.api.metrics import CLAIMS, FINDINGS, METRICS, QUARANTINED, SWITCH_SECONDS
from amdgpu_dra.edge.telemetry import set_up_logging
from amdgpu_dra.edge.telemetry.metrics import MetricsServer


def _line(form: str, message: str, error: str) -> str:
    set_up_logging(form, 0)
    (handler,) = logging.getLogger().handlers
    record = logging.getLogger("kubelet").makeRecord(
        "kubelet", logging.ERROR, "f", 1, "%s", (message,), None, extra=facts(call=7, error=error)
    )
    return handler.format(record)


@given(st.text(), st.text())
def test_a_line_is_one_line_whatever_is_in_it(message: str, error: str) -> None:
    """Names of others cannot begin a new line, nor end a field, in either format."""
    text = _line("text", message, error)

    assert len(text.splitlines()) == 1
    _, _, written = text.rpartition(" call=7 error=")
    assert written == error if not written.startswith('"') else json.loads(written) == error


@given(st.text(), st.text())
def test_a_line_of_json_has_its_fields(message: str, error: str) -> None:
    """Beside time, level, part and message."""
    found = json.loads(_line("json", message, error))

    assert {**found, "ts": ""} == {
        "ts": "",
        "level": "error",
        "logger": "kubelet",
        "msg": message,
        "call": 7,
        "error": error,
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_stack_is_part_of_its_line(form: str) -> None:
    """In JSON as a field, in text below it."""
    set_up_logging(form, 0)
    (handler,) = logging.getLogger().handlers
    try:
        _ = 1 // 0
    except ZeroDivisionError:
        record = logging.makeLogRecord({"name": "x", "levelno": 40, "msg": "m", "exc_info": sys.exc_info()})
    text = handler.format(record)

    assert "ZeroDivisionError" in (json.loads(text)["trace"] if form == "json" else text)


@pytest.fixture(autouse=True)
def _handlers() -> object:
    """Logging as it was before."""
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_a_scrape_has_what_was_put() -> None:
    """Counters, gauges with labels and without, histograms from 1 ms up; what is asked at a scrape is asked first."""
    server = MetricsServer()
    port = server.start(0)
    server.on_scrape = lambda: server.put(CLAIMS, {("Ready",): 3})
    try:
        server.count(FINDINGS, "ClaimGone")
        server.put(QUARANTINED, {(): 2})
        server.observe(SWITCH_SECONDS, 0.0005, "CPX", "ok")
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    finally:
        server.stop()
    families = list(text_string_to_metric_families(text))
    found = {(item.name, *sorted(item.labels.values())): item.value for family in families for item in family.samples}

    assert found["amdgpu_dra_claim_findings_total", "ClaimGone"] == 1
    assert found["amdgpu_dra_claims_quarantined",] == 2
    assert found["amdgpu_dra_claims", "Ready"] == 3
    assert found["amdgpu_dra_mode_switch_seconds_bucket", "0.001", "CPX", "ok"] == 1
    assert {family.name for family in families} == {row.name.removesuffix("_total") for row in METRICS}

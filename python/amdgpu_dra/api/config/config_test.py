"""Decoding of configurations, their schema and their reference."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.config import API_VERSION, RepeatedKeys, decode_config, render_reference, render_schema

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
GOOD = {"apiVersion": API_VERSION, "kind": "GpuConfig"}


@given(JSON)
def test_anything_gets_an_answer(raw: object) -> None:
    """Whatever stands there, it is taken or every error names a field below the path."""
    errors = decode_config(raw, "p")

    assert (errors == []) == (raw == GOOD)
    assert all(error.field.startswith("p") and len(str(error)) < 300 for error in errors)


@given(st.dictionaries(st.text(min_size=1), JSON, min_size=1))
def test_unknown_fields_are_all_named(more: dict[str, object]) -> None:
    """One error for each field that GpuConfig does not have."""
    errors = decode_config({**more, **GOOD}, "p")

    assert len(errors) == len(more.keys() - GOOD.keys())


@pytest.mark.parametrize(
    ("raw", "messages"),
    [
        pytest.param(None, ["p: expected an object, found None"], id="nothing"),
        pytest.param([], ["p: expected an object, found []"], id="list"),
        pytest.param(
            {},
            [f"p.apiVersion: expected '{API_VERSION}', found None", "p.kind: expected 'GpuConfig', found None"],
            id="empty",
        ),
        pytest.param(
            {**GOOD, "kind": "VfioDeviceConfig"},
            ["p.kind: VfioDeviceConfig is not supported: this driver does not hand out VFIO devices yet"],
            id="vfio",
        ),
        pytest.param({**GOOD, "kind": ["x"]}, ["p.kind: expected 'GpuConfig', found ['x']"], id="kind-list"),
        pytest.param({**GOOD, "sharing": {}}, ["p.sharing: unknown field; GpuConfig has none"], id="unknown-field"),
    ],
)
def test_errors_say_what_was_expected_and_found(raw: object, messages: list[str]) -> None:
    """Every error at once, each with its path."""
    assert [str(error) for error in decode_config(raw, "p")] == messages


def test_a_field_of_a_megabyte_is_cut_off() -> None:
    """Messages end in Events and logs, which are bounded."""
    (error,) = decode_config({**GOOD, "x" * 1_000_000: 1}, "p")

    assert len(str(error)) < 200


def test_a_key_that_is_there_twice_is_an_error() -> None:
    """JSON texts may say a thing twice; which of them counts is nobody's guess."""
    twice = RepeatedKeys(GOOD)
    twice.names = ("kind",)

    assert [str(error) for error in decode_config(twice, "p")] == ["p.kind: the key is there twice"]


def test_the_schema_and_the_reference_are_current() -> None:
    """docs/reference has what the table says."""
    assert Path("docs/reference/configuration.schema.json").read_text() == render_schema()
    assert Path("docs/reference/configuration.md").read_text() == render_reference()


def test_the_schema_agrees_with_decoding() -> None:
    """It names the kinds that are taken, and nothing more than what decoding takes."""
    (only,) = json.loads(render_schema())["oneOf"]

    assert {name: value["const"] for name, value in only["properties"].items()} == GOOD
    assert only["additionalProperties"] is False

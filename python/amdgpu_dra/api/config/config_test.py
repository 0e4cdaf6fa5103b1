"""Opaque configurations: every fault is told with its path, whatever was written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.config import API_VERSION, decode_config

GOOD = {"apiVersion": API_VERSION, "kind": "GpuConfig"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["apiVersion", "kind", "sharing"]) | st.text(max_size=300), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(JSON)
def test_any_json_is_judged(raw: object) -> None:
    """Whatever a user writes is either ours as it stands or a list of short faults, each with its path."""
    errors = decode_config(raw, "config[2].opaque.parameters")

    assert (not errors) == (raw == GOOD)
    assert all(error.startswith("config[2].opaque.parameters") and len(error) < 300 for error in errors)


@pytest.mark.parametrize(
    ("raw", "faults"),
    [
        (None, ["p: expected an object, found None"]),
        ("GpuConfig", ["p: expected an object, found 'GpuConfig'"]),
        ({"kind": "GpuConfig"}, [f"p.apiVersion: expected '{API_VERSION}', found None"]),
        ({**GOOD, "apiVersion": 1}, [f"p.apiVersion: expected '{API_VERSION}', found 1"]),
        ({**GOOD, "kind": ["GpuConfig"]}, ["p.kind: expected 'GpuConfig', found ['GpuConfig']"]),
        (
            {**GOOD, "sharing": {"strategy": "MPS"}, "Kind": "x"},
            ["p.Kind: unknown field; GpuConfig has none", "p.sharing: unknown field; GpuConfig has none"],
        ),
    ],
    ids=str,
)
def test_every_fault_is_named(raw: object, faults: list[str]) -> None:
    """Wrong types, unknown fields and other versions: all of them at once, sorted."""
    assert decode_config(raw, "p") == faults


def test_a_field_of_a_megabyte_is_cut_off() -> None:
    """Messages end in Events and logs, which are bounded."""
    (error,) = decode_config({**GOOD, "x" * 1_000_000: 1}, "p")

    assert len(error) < 200

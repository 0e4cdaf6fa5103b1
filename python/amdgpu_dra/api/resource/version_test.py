"""Objects of every version of resource.k8s.io are those of v1."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.resource import (
    GROUP,
    VERSIONS,
    Device,
    ResourceSlice,
    Taint,
    decode_claim,
    encode_slice,
    from_v1,
    to_v1,
)

JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["spec", "devices", "requests", "basic", "exactly", "firstAvailable", "name", "apiVersion"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
EXACTLY = {"deviceClassName": "gpu.amd.com", "count": 2, "selectors": [{"cel": {"expression": "true"}}]}
REQUESTS = [
    {"name": "one", "exactly": EXACTLY},
    {"name": "any", "firstAvailable": [{"name": "whole", "deviceClassName": "gpu.amd.com"}]},
]
CLAIM = {"apiVersion": f"{GROUP}/v1", "kind": "ResourceClaim", "spec": {"devices": {"requests": REQUESTS}}}
TEMPLATE = {"apiVersion": f"{GROUP}/v1", "kind": "ResourceClaimTemplate", "spec": {"spec": CLAIM["spec"]}}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("raw", [CLAIM, TEMPLATE], ids=lambda raw: str(raw["kind"]))
def test_claims_and_templates_survive_every_version(version: str, raw: dict[str, Any]) -> None:
    """Requests of one kind and lists of alternatives, in either place."""
    assert to_v1(from_v1(raw, version), version) == raw


def test_v1beta1_is_as_kubernetes_defines_it() -> None:
    """A device's fields under `basic`, a request's beside its name."""
    device = Device(name="gpu-0", attributes={"type": "amdgpu"}, taints=(Taint(key="k"),))
    item = ResourceSlice(name="s", driver="d", node_name="n", pool="n", generation=1, slice_count=1, devices=(device,))

    assert from_v1(encode_slice(item), "v1beta1")["spec"]["devices"] == [
        {
            "name": "gpu-0",
            "basic": {
                "attributes": {"type": {"string": "amdgpu"}},
                "taints": [{"key": "k", "effect": "NoSchedule"}],
            },
        }
    ]
    requests = from_v1(CLAIM, "v1beta1")["spec"]["devices"]["requests"]
    assert requests == [{"name": "one", **EXACTLY}, REQUESTS[1]]


def test_v1beta2_is_v1_by_another_name() -> None:
    """Nothing but the version differs."""
    assert from_v1(CLAIM, "v1beta2") == CLAIM | {"apiVersion": f"{GROUP}/v1beta2"}


@pytest.mark.parametrize("version", VERSIONS)
def test_an_allocation_is_the_same_in_every_version(version: str) -> None:
    """What the plugin reads of a claim stands where it always stands."""
    results = [{"request": "one", "driver": "gpu.amd.com", "pool": "n", "device": "gpu-0"}]
    claim = {**CLAIM, "metadata": {"name": "c"}, "status": {"allocation": {"devices": {"results": results}}}}

    assert decode_claim(to_v1(from_v1(claim, version), version)) == decode_claim(claim)


@pytest.mark.parametrize("version", VERSIONS)
@given(raw=st.dictionaries(st.sampled_from(["spec", "kind", "apiVersion"]), JSON, max_size=3))
def test_malformed_objects_are_left_to_the_decoder(version: str, raw: dict[str, Any]) -> None:
    """Whatever a server sends, and in whichever version it claims to: no other error than the decoder's own."""
    to_v1(raw, version)
    from_v1(raw, version)

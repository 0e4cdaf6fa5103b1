"""What others than the API server answer in its place: objects of any form."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.errors import DriverError, NotReadyError
from amdgpu_dra.edge.kube import KubeApi

_NAMES = (
    "items",
    "metadata",
    "resourceVersion",
    "continue",
    "uid",
    "name",
    "type",
    "object",
    "spec",
    "pool",
    "devices",
    "versions",
    "version",
)
_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 1) | st.sampled_from(("", "x", "BOOKMARK", "ERROR")),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=8,
)
_OBJECTS = st.dictionaries(st.sampled_from(_NAMES), _ANY, max_size=4)


class Answers:
    """In place of a connection: one object for every question, and as the only event of every watch."""

    def __init__(self, found: dict[str, Any]) -> None:
        self._found = found
        self._left = 3

    async def request(self, _method: str, path: str, **_options: object) -> dict[str, Any]:
        """The object; an error after a few times, as a server that has always another page would never end.

        Unless the object says otherwise, v1 is served.
        """
        if path == "/apis/resource.k8s.io" and "versions" not in self._found:
            return {"versions": [{"version": "v1"}]}
        self._left -= 1
        if self._left < 0:
            raise NotReadyError("server", expected="an end", found="none", action="stop")
        return self._found

    async def stream(self, *_arguments: object) -> AsyncIterator[dict[str, Any]]:
        """The object as an event."""
        yield self._found


def _api(found: dict[str, Any]) -> KubeApi:
    return KubeApi(cast("Any", Answers(found)), driver="gpu.amd.com", node="n")


@given(_OBJECTS)
def test_an_object_of_any_form_is_an_answer_or_an_error_of_ours(found: dict[str, Any]) -> None:
    """Whoever asked is told that there is no answer, and asks again; nothing else comes of it."""

    async def lists() -> None:
        assert isinstance((await _api(found).list_slices())[1], str)

    async def watch() -> None:
        assert all([isinstance(event.version, str) async for event in _api(found).watch_slices("1", 300)])

    async def claims() -> None:
        assert all([isinstance(claim.uid, str) async for claim in _api(found).list_claims()])

    async def run() -> None:
        for call in (lists, watch, claims, _api(found).get_node_uid, _api(found).get_version):
            with suppress(DriverError):
                await call()

    asyncio.run(run())


@pytest.mark.parametrize(
    "event",
    [
        {"type": "ADDED", "object": []},
        {"type": "ADDED", "object": {"metadata": {"resourceVersion": 7}}},
        {"type": "ADDED", "object": {"metadata": {"resourceVersion": "7"}, "spec": {"devices": 7}}},
        {"type": "BOOKMARK"},
    ],
)
def test_an_event_that_is_none_ends_the_watch(event: dict[str, Any]) -> None:
    """Another one is begun."""

    async def run() -> None:
        async for _ in _api(event).watch_slices("1", 300):
            pass

    with pytest.raises(NotReadyError, match="an object as the API defines it"):
        asyncio.run(run())


def test_a_list_that_is_none_is_not_ready() -> None:
    """Of slices as of claims."""

    async def claims() -> None:
        async for _ in _api({"items": 7}).list_claims():
            pass

    for call in (_api({"items": 7}).list_slices, claims):
        with pytest.raises(NotReadyError, match="items: 7"):
            asyncio.run(call())

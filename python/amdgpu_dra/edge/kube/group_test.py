"""Slices and claims in whichever version a server has, and what becomes of it when that changes."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.api.resource import VERSIONS, Device, ObjectRef, ResourceSlice
from amdgpu_dra.edge.kube import Connection, KubeApi
from amdgpu_dra.testing.fakeapi import Client, FakeApi, write_kubeconfig

DEVICE = Device(name="gpu-0", attributes={"type": "amdgpu"}, capacity={"memory": Fraction(2**30)})
SLICE = ResourceSlice(
    name="s", driver="d", node_name="n", pool="n", generation=1, slice_count=1, devices=(DEVICE,), owner_uid="u"
)
ALLOCATION = {"devices": {"results": [{"request": "r", "driver": "d", "pool": "n", "device": "gpu-0"}]}}
GROUP_PATH = ("GET", "/apis/resource.k8s.io")


def _play(work: Path, api: FakeApi, act: Callable[[KubeApi], Awaitable[None]]) -> None:
    async def story() -> None:
        await api.start()
        write_kubeconfig(work / "kubeconfig", api.address)
        connection = Connection(str(work / "kubeconfig"))
        try:
            async with asyncio.timeout(60):
                await act(KubeApi(connection, driver="d", node="n"))
        finally:
            await connection.close()
            await api.stop()

    asyncio.run(story())


@pytest.mark.parametrize("version", VERSIONS)
def test_slices_and_claims_are_the_same_in_every_version(tmp_path: Path, version: str) -> None:
    """Written, listed, changed, watched and deleted, and a claim read, each in the only version that is served."""
    api = FakeApi()
    api.serves = ("v1alpha3", version)

    async def act(kube: KubeApi) -> None:
        made = await kube.create_slice(SLICE)
        listed, seen = await kube.list_slices()
        assert listed == [made]
        changed = await kube.update_slice(replace(made, devices=(DEVICE, replace(DEVICE, name="gpu-1"))))
        async with aclosing(kube.watch_slices(seen, 30)) as events:
            event = await anext(events)
        assert event.item == changed
        await kube.delete_slice(changed)
        assert (await kube.list_slices())[0] == []
        async with Client(api.address, version=version) as client:
            await client.make_claim("c", {"devices": {"requests": []}}, ALLOCATION)
        claim = await kube.get_claim("default", "c")
        assert claim.results is not None
        assert claim.results[0].device == "gpu-0"
        await kube.post_event("Reason", "message", ObjectRef(kind="ResourceClaim", namespace="ns", name="c", uid="u"))

    _play(tmp_path, api, act)
    assert api.requests.count(GROUP_PATH) == 1
    spoken = {path.split("/")[3] for _, path in api.requests if path.startswith("/apis/resource.k8s.io/")}
    assert spoken == {version}


@pytest.mark.parametrize(
    ("served", "spoken"),
    [
        (("v1beta1", "v1beta2", "v1"), "v1"),
        (("v1beta1", "v1beta2"), "v1beta2"),
        (("v9", "v1beta1", "v1alpha3"), "v1beta1"),
    ],
    ids=str,
)
def test_the_best_version_is_spoken(tmp_path: Path, served: tuple[str, ...], spoken: str) -> None:
    """In whichever order the server names them."""
    api = FakeApi()
    api.serves = served

    async def act(kube: KubeApi) -> None:
        await kube.list_slices()

    _play(tmp_path, api, act)
    assert api.requests == [GROUP_PATH, ("GET", f"/apis/resource.k8s.io/{spoken}/resourceslices")]


def test_a_version_that_is_dropped_is_left(tmp_path: Path) -> None:
    """After an upgrade the request that meets it is made again in another version, and none is taken for an answer.

    A watch ends, so that a list comes next.
    """
    api = FakeApi()
    api.serves = ("v1beta1",)

    async def act(kube: KubeApi) -> None:
        made = await kube.create_slice(SLICE)
        async with Client(api.address, version="v1beta1") as client:
            await client.make_claim("c", {"devices": {"requests": []}}, ALLOCATION)
        api.serves = ("v1", "v1beta2")
        assert await kube.find_claim("default", "c") is not None
        api.serves = ("v1beta2",)
        with pytest.raises(NotReadyError, match="404"):
            async with aclosing(kube.watch_slices(made.resource_version, 30)) as events:
                await anext(events)
        assert (await kube.list_slices())[0] == [made]

    _play(tmp_path, api, act)
    assert api.requests.count(GROUP_PATH) == 3


@pytest.mark.parametrize(
    ("served", "found"),
    [((), "that the group is not served"), (("v1alpha3", "v2"), "the versions 'v1alpha3, v2'")],
    ids=["no-group", "unknown-versions"],
)
def test_a_server_without_the_api_is_a_clear_error(tmp_path: Path, served: tuple[str, ...], found: str) -> None:
    """What was looked for, what is there, which gate to set; and it is asked again at the next request."""
    api = FakeApi()
    api.serves = served

    async def act(kube: KubeApi) -> None:
        with pytest.raises(NotReadyError) as caught:
            await kube.list_slices()
        text = str(caught.value)
        assert "in one of the versions v1, v1beta2, v1beta1" in text
        assert found in text
        assert "DynamicResourceAllocation=true" in text
        assert caught.value.refused
        with pytest.raises(NotReadyError, match="in one of the versions"):
            await kube.find_claim("default", "c")
        api.serves = ("v1beta2",)
        assert await kube.list_slices() == ([], "1")

    _play(tmp_path, api, act)


def test_a_claim_is_not_gone_because_its_api_is(tmp_path: Path) -> None:
    """404 for the path of a version says nothing of a claim: what it holds must not be given away."""
    api = FakeApi()

    async def act(kube: KubeApi) -> None:
        assert await kube.find_claim("default", "c") is None
        api.serves = ("v1alpha3",)
        with pytest.raises(NotReadyError):
            await kube.find_claim("default", "c")
        with pytest.raises(NotReadyError):
            await kube.delete_slice(SLICE)

    _play(tmp_path, api, act)


def test_a_server_that_does_not_tell_its_versions_is_asked_in_v1(tmp_path: Path) -> None:
    """Where discovery is forbidden the newest version is tried; a server that is busy is no reason to guess."""
    api = FakeApi()
    api.refusals = [(403, {}), (503, {})]

    async def act(kube: KubeApi) -> None:
        with pytest.raises(NotReadyError, match="503"):
            await kube.list_slices()
        assert await kube.list_slices() == ([], "1")

    _play(tmp_path, api, act)
    path = "/apis/resource.k8s.io/v1/resourceslices"
    assert api.requests == [GROUP_PATH, ("GET", path), ("GET", path)]

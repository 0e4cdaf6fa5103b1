"""All claims of a cluster, page by page."""

import asyncio
from pathlib import Path

import pytest

from amdgpu_dra.api.errors import HostError, NotReadyError
from amdgpu_dra.api.resource import Claim
from amdgpu_dra.edge.kube import Connection, KubeApi
from amdgpu_dra.testing.fakeapi import Client, FakeApi, write_kubeconfig
from amdgpu_dra.testing.fakeapi.client import CLAIMS


async def _list(api: FakeApi, work: Path) -> list[Claim]:
    write_kubeconfig(work / "kubeconfig", api.address)
    connection = Connection(str(work / "kubeconfig"))
    try:
        kube = KubeApi(connection, driver="gpu.amd.com", node="n")
        return [claim async for claim in kube.list_claims()]
    finally:
        await connection.close()


async def _served(api: FakeApi, work: Path, *names: str) -> list[Claim]:
    await api.start()
    try:
        async with Client(api.address) as client:
            for name in names:
                path = CLAIMS.format(namespace=f"ns-{name}")
                results = [{"request": "r"}] if name == "broken" else []
                status = {"allocation": {"devices": {"results": results}}}
                await client.call("POST", path, {"metadata": {"name": name}, "status": status})
        return await _list(api, work)
    finally:
        await api.stop()


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5])
def test_every_claim_of_every_namespace_is_listed_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Whatever the number of pages; one claim that is malformed is passed over."""
    monkeypatch.setattr("amdgpu_dra.edge.kube.api._PAGE", 2)
    api = FakeApi()
    names = [f"c{number}" for number in range(count)]
    found = asyncio.run(_served(api, tmp_path, *names, "broken"))

    assert [(claim.namespace, claim.name) for claim in found] == [(f"ns-{name}", name) for name in names]
    lists = [path for method, path in api.requests if method == "GET" and path.endswith("/resourceclaims")]
    assert len(lists) == (count + 1 + 1) // 2


def test_a_right_that_is_missing_is_named(tmp_path: Path) -> None:
    """The error says which, and what comes of it."""
    api = FakeApi()
    api.unlisted.add("resourceclaims")

    with pytest.raises(HostError, match=r"expected the right `list` on resourceclaims .* waits for the kubelet"):
        asyncio.run(_served(api, tmp_path))


def test_a_server_that_is_away_is_asked_again(tmp_path: Path) -> None:
    """That is for later, and no missing right."""

    async def story() -> None:
        api = FakeApi()
        await api.start()
        await api.stop()
        await _list(api, tmp_path)

    with pytest.raises(NotReadyError):
        asyncio.run(story())

"""A small client for what tests make and read."""

import asyncio
from types import TracebackType
from typing import Any, Self

import aiohttp

from amdgpu_dra.api.resource import GROUP, from_v1, to_v1

CLAIMS = "/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims"
SLICES = "/apis/resource.k8s.io/v1/resourceslices"


class ApiError(Exception):
    """The server refused; the status is HTTP's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status


class Client:
    """JSON over HTTP.

    Slices and claims go and come as v1 has them, in whichever version of resource.k8s.io the server is asked for them.
    """

    def __init__(self, address: str, token: str = "", *, version: str = "v1") -> None:
        self._version = version
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._session = aiohttp.ClientSession(address, headers=headers, connector=aiohttp.TCPConnector(ssl=False))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """What the server answers. Raises ApiError."""
        async with self._session.request(method, path, json=body) as answer:
            text = await answer.text()
            if answer.status >= 300:
                raise ApiError(answer.status, text)
            return await answer.json()

    async def make_node(self, name: str) -> None:
        """A node's object."""
        await self.call("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}})

    async def label_namespace(self, name: str, labels: dict[str, str]) -> None:
        """Adds labels to a namespace."""
        path = f"/api/v1/namespaces/{name}"
        found = await self.call("GET", path)
        found["metadata"]["labels"] = found["metadata"].get("labels", {}) | labels
        await self.call("PUT", path, found)

    async def slices(self) -> list[dict[str, Any]]:
        """All slices, by name."""
        found = await self.call("GET", self._path(SLICES))
        items = [to_v1(item, self._version) for item in found["items"]]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    async def wait_complete(self) -> list[dict[str, Any]]:
        """All slices, once they are a whole pool: every one of one generation."""
        while not _complete(slices := await self.slices()):
            await asyncio.sleep(0.01)
        return slices

    async def make_claim(self, name: str, spec: dict[str, Any], allocation: dict[str, Any] | None) -> dict[str, Any]:
        """A claim in `default`, allocated as the scheduler would have written it."""
        path = self._path(CLAIMS.format(namespace="default"))
        claim = {
            "apiVersion": f"{GROUP}/v1",
            "kind": "ResourceClaim",
            "metadata": {"name": name, "namespace": "default"},
            "spec": spec,
        }
        made: dict[str, Any] = await self.call("POST", path, from_v1(claim, self._version))
        if allocation is None:
            return to_v1(made, self._version)
        made["status"] = {"allocation": allocation}
        return to_v1(await self.call("PUT", f"{path}/{name}/status", made), self._version)

    async def drop_claim(self, name: str) -> None:
        """Deletes a claim of `default`, past its finalizers."""
        await self.call("DELETE", self._path(f"{CLAIMS.format(namespace='default')}/{name}"))

    def _path(self, path: str) -> str:
        return path.replace(f"/{GROUP}/v1/", f"/{GROUP}/{self._version}/")


def _complete(slices: list[dict[str, Any]]) -> bool:
    pools = [item["spec"]["pool"] for item in slices]
    return bool(pools) and all(pool == pools[0] | {"resourceSliceCount": len(pools)} for pool in pools)


def allocation_of(node: str, results: list[tuple[str, str]]) -> dict[str, Any]:
    """An allocation of devices of this driver: (request, device)."""
    return {
        "devices": {
            "results": [
                {"request": request, "driver": "gpu.amd.com", "pool": node, "device": device}
                for request, device in results
            ]
        },
        "nodeSelector": {
            "nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]
        },
    }

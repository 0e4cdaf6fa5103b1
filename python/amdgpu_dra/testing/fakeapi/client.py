"""A small client for what tests make and read."""

import asyncio
from types import TracebackType
from typing import Any, Self

import aiohttp

CLAIMS = "/apis/resource.k8s.io/v1/namespaces/{namespace}/resourceclaims"
SLICES = "/apis/resource.k8s.io/v1/resourceslices"


class ApiError(Exception):
    """The server refused; the status is HTTP's."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status


class Client:
    """JSON over HTTP."""

    def __init__(self, address: str, token: str = "") -> None:
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
        found = await self.call("GET", SLICES)
        items: list[dict[str, Any]] = found["items"]
        return sorted(items, key=lambda item: str(item["metadata"]["name"]))

    async def wait_complete(self) -> list[dict[str, Any]]:
        """All slices, once they are a whole pool: every one of one generation."""
        while not _complete(slices := await self.slices()):
            await asyncio.sleep(0.01)
        return slices

    async def make_claim(self, name: str, spec: dict[str, Any], allocation: dict[str, Any] | None) -> dict[str, Any]:
        """A claim in `default`, allocated as the scheduler would have written it."""
        path = CLAIMS.format(namespace="default")
        claim: dict[str, Any] = await self.call(
            "POST",
            path,
            {
                "apiVersion": "resource.k8s.io/v1",
                "kind": "ResourceClaim",
                "metadata": {"name": name, "namespace": "default"},
                "spec": spec,
            },
        )
        if allocation is None:
            return claim
        claim["status"] = {"allocation": allocation}
        written: dict[str, Any] = await self.call("PUT", f"{path}/{name}/status", claim)
        return written

    async def drop_claim(self, name: str) -> None:
        """Deletes a claim of `default`, past its finalizers."""
        path = f"{CLAIMS.format(namespace='default')}/{name}"
        await self.call("DELETE", path)


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

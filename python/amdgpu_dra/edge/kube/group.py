"""resource.k8s.io of one API server, in the best version that it serves: JSON of v1 in and out."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from amdgpu_dra.api.errors import NotReadyError, shorten
from amdgpu_dra.api.resource import GROUP, VERSIONS, from_v1, to_v1
from amdgpu_dra.edge.kube.connection import Connection, StatusError

_PATH = f"/apis/{GROUP}"
_FORBIDDEN, _NOT_FOUND = 403, 404
_LOG = logging.getLogger("kube")


class ResourceGroup:
    """Asks once which versions are served, and again when the server does not know the path of one any more.

    Paths are those below the version: `resourceslices`, `namespaces/NAMESPACE/resourceclaims/NAME`.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._finding = connection, asyncio.Lock()
        # Spoken now; empty while it is not known.
        self._version = ""

    async def request(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The object that the server answers, as v1 has it, or the list with its items so.

        Raises as `Connection.request` does, and NotReadyError if no version is served that we know.
        """
        version = await self.find_version()
        try:
            return await self._request(version, method, path, query=query, body=body)
        except StatusError as error:
            if error.code != _NOT_FOUND or error.object_missing:
                raise
        # Once: of a server that tells of a version and does not have it there is nothing more to learn.
        version = await self.find_version(instead_of=version)
        return await self._request(version, method, path, query=query, body=body)

    async def stream(self, path: str, query: Mapping[str, str], seconds: int) -> AsyncGenerator[dict[str, Any]]:
        """Each event of a watch, its object as v1 has it. Raises as `request` does."""
        version = await self.find_version()
        try:
            async for event in self._connection.stream(f"{_PATH}/{version}/{path}", query, seconds):
                item = event.get("object")
                yield {**event, "object": to_v1(item, version)} if isinstance(item, Mapping) else event
        except StatusError as error:
            if error.code == _NOT_FOUND:
                # Whoever watches lists next, which finds another version.
                self._forget(version)
            raise

    async def _request(
        self,
        version: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None,
        body: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        sent = None if body is None else from_v1(body, version)
        found = await self._connection.request(method, f"{_PATH}/{version}/{path}", query=query, body=sent)
        items = found.get("items")
        if isinstance(items, list):
            return {**found, "items": [to_v1(item, version) if isinstance(item, Mapping) else item for item in items]}
        return to_v1(found, version)

    def _forget(self, version: str) -> None:
        if self._version == version:
            self._version = ""

    async def find_version(self, *, instead_of: str = "") -> str:
        """The version that is spoken; the server is asked if none is yet, or the one is that shall be left."""
        if self._version not in ("", instead_of):
            return self._version
        async with self._finding:
            if self._version in ("", instead_of):
                self._version = await self._ask()
                _LOG.info("%s is spoken as %s", GROUP, self._version)
            return self._version

    async def _ask(self) -> str:
        try:
            found = await self._connection.request("GET", _PATH)
        except StatusError as error:
            if error.code == _FORBIDDEN:
                _LOG.warning("which versions of %s are served may not be read: %s", GROUP, error.message)
                return VERSIONS[0]
            if error.code != _NOT_FOUND:
                raise
            found = {"versions": []}
        items = found.get("versions")
        if not isinstance(items, list):
            raise NotReadyError(
                f"API server, {_PATH}",
                expected="an object as the API defines it",
                found=f"versions: {shorten(items)}",
                action="it is asked again; if this lasts, look at what stands between this node and the API server",
            )
        served = [str(item.get("version")) for item in items if isinstance(item, Mapping)]
        best = next((version for version in VERSIONS if version in served), "")
        if not best:
            raise _not_served(served)
        return best


def _not_served(served: list[str]) -> NotReadyError:
    raised = NotReadyError(
        f"API server, {_PATH}",
        expected=f"{GROUP} in one of the versions {', '.join(VERSIONS)}",
        found=f"the versions {shorten(', '.join(served))}" if served else "that the group is not served",
        action="Kubernetes serves v1 from 1.34; on 1.32 and 1.33 set the feature gate DynamicResourceAllocation=true "
        f"on every component, and --runtime-config={GROUP}/v1beta1=true (from 1.33 also v1beta2) on the API server; it "
        "is asked again by itself",
    )
    raised.refused = True
    return raised

"""Claims, slices and the node, by resource.k8s.io/v1. Fulfils `agent/ports.ClaimApi` and `SliceApi`."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote

from amdgpu_dra.api.errors import ClaimError, NotReadyError
from amdgpu_dra.api.resource import Claim, ResourceSlice, decode_claim, decode_slice, encode_slice
from amdgpu_dra.edge.kube.connection import Connection, StatusError

_GROUP = "/apis/resource.k8s.io/v1"
_SLICES = f"{_GROUP}/resourceslices"
# Events of objects without a namespace lie in this one. A node's are found by its name in place of a UID, as the
# kubelet's are.
_DEFAULT = "default"
_LONGEST_NOTE = 1024
_NOT_FOUND, _CONFLICT, _GONE, _INVALID = 404, 409, 410, 422


class KubeApi:
    """What the plugin asks of the API server."""

    def __init__(self, connection: Connection, *, driver: str, node: str) -> None:
        self._connection, self._driver, self._node = connection, driver, node
        self._selector = {"fieldSelector": f"spec.driver={driver},spec.nodeName={node}"}

    async def get_claim(self, namespace: str, name: str) -> Claim:
        """See the port."""
        claim = await self.find_claim(namespace, name)
        if claim is None:
            raise ClaimError(
                f"claim {namespace}/{name}",
                expected="the claim on the API server",
                found="none of that name",
                action="it was deleted: delete the pod that waits for it",
            )
        return claim

    async def find_claim(self, namespace: str, name: str) -> Claim | None:
        """See the port."""
        where = f"claim {namespace}/{name}"
        path = f"{_GROUP}/namespaces/{quote(namespace, safe='')}/resourceclaims/{quote(name, safe='')}"
        try:
            return decode_claim(await self._connection.request("GET", path))
        except StatusError as error:
            if error.code == _NOT_FOUND:
                return None
            raise _not_ready(where, error) from error
        except ValueError as error:
            raise ClaimError(
                where,
                expected="an allocation as the API defines it",
                found=str(error),
                action="delete the claim so that it is allocated anew",
            ) from error

    async def post_event(self, reason: str, message: str, claim: tuple[str, str, str] | None) -> None:
        """See the port."""
        namespace, regarding = _DEFAULT, {"apiVersion": "v1", "kind": "Node", "name": self._node, "uid": self._node}
        if claim is not None:
            namespace, name, uid = claim
            regarding = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "namespace": namespace}
            regarding |= {"name": name, "uid": uid}
        now = datetime.now(UTC)
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": f"{regarding['name']}.{time.time_ns():x}", "namespace": namespace},
            "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportingController": self._driver,
            "reportingInstance": self._node,
            "action": "Prepare" if claim is not None else "Publish",
            "reason": reason,
            "regarding": regarding,
            "note": message[:_LONGEST_NOTE],
            "type": "Warning",
        }
        path = f"/apis/events.k8s.io/v1/namespaces/{quote(namespace, safe='')}/events"
        try:
            await self._connection.request("POST", path, body=event)
        except StatusError as error:
            raise _not_ready(f"Event {reason}", error) from error

    async def get_node_uid(self) -> str:
        """See the port."""
        try:
            node = await self._connection.request("GET", f"/api/v1/nodes/{quote(self._node, safe='')}")
        except StatusError as error:
            raise _not_ready(f"node {self._node}", error, hint="is --node-name the name of this node?") from error
        return _text(node, "metadata", "uid")

    async def get_version(self) -> str:
        """See the port."""
        try:
            return str((await self._connection.request("GET", "/version")).get("gitVersion") or "")
        except StatusError as error:
            raise _not_ready("version of the API server", error) from error

    async def try_slice(self, item: ResourceSlice) -> ResourceSlice | None:
        """See the port."""
        try:
            found = await self._connection.request("POST", _SLICES, query={"dryRun": "All"}, body=encode_slice(item))
        except StatusError as error:
            if error.code == _INVALID:
                return None
            raise _not_ready(f"trial of ResourceSlice {item.name}", error) from error
        return _slice(found)

    async def list_slices(self) -> tuple[list[ResourceSlice], str]:
        """See the port."""
        try:
            found = await self._connection.request("GET", _SLICES, query=self._selector)
        except StatusError as error:
            raise _not_ready("ResourceSlices", error) from error
        items = found.get("items") or []
        if not isinstance(items, list):
            raise _not_as_promised("ResourceSlices", f"items: {items!r}")
        return [_slice(item) for item in items], _text(found, "metadata", "resourceVersion")

    async def create_slice(self, item: ResourceSlice) -> ResourceSlice:
        """See the port."""
        return await self._write("POST", _SLICES, item)

    async def update_slice(self, item: ResourceSlice) -> ResourceSlice:
        """See the port."""
        return await self._write("PUT", f"{_SLICES}/{item.name}", item)

    async def _write(self, method: str, path: str, item: ResourceSlice) -> ResourceSlice:
        try:
            return _slice(await self._connection.request(method, path, body=encode_slice(item)))
        except StatusError as error:
            raise _not_ready(f"ResourceSlice {item.name}", error) from error

    async def delete_slice(self, item: ResourceSlice) -> None:
        """See the port."""
        body = {"preconditions": {"uid": item.uid, "resourceVersion": item.resource_version}}
        try:
            await self._connection.request("DELETE", f"{_SLICES}/{item.name}", body=body)
        except StatusError as error:
            if error.code != _NOT_FOUND:
                raise _not_ready(f"ResourceSlice {item.name}", error) from error

    async def watch_slices(self, version: str) -> AsyncIterator[ResourceSlice]:
        """See the port. An expired version ends the watch; the caller lists anew."""
        try:
            async for event in self._connection.stream(_SLICES, {**self._selector, "resourceVersion": version}):
                if event.get("type") == "ERROR":
                    return
                if event.get("type") != "BOOKMARK":
                    yield _slice(event.get("object") or {})
        except StatusError as error:
            if error.code != _GONE:
                raise _not_ready("ResourceSlices", error) from error


def _slice(raw: object) -> ResourceSlice:
    try:
        return decode_slice(raw)
    except ValueError as error:
        raise _not_as_promised("ResourceSlices", str(error)) from error


def _text(raw: object, *names: str) -> str:
    found = raw
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str):
        raise _not_as_promised(".".join(names), repr(found))
    return found


def _not_as_promised(where: str, found: str) -> NotReadyError:
    action = "it is asked again; if this lasts, look at what stands between this node and the API server"
    return NotReadyError(where, expected="an object as the API defines it", found=found, action=action)


def _not_ready(where: str, error: StatusError, *, hint: str = "") -> NotReadyError:
    actions = {
        401: "check the credentials of the plugin",
        403: "check the plugin's ClusterRole and its binding",
        404: hint or "check that the API server serves resource.k8s.io/v1 (Kubernetes 1.34 or newer)",
        _CONFLICT: "it is read and written again",
        _INVALID: "report this: the driver checks its slices before it sends them",
    }
    return NotReadyError(
        where,
        expected="the API server to agree",
        found=f"status {error.code}: {error.message}",
        action=actions.get(error.code, "it is tried again"),
    )

"""Claims, slices and the node, by resource.k8s.io. Fulfils `agent/ports.ClaimApi` and `SliceApi`."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any
from urllib.parse import quote

from amdgpu_dra.api.errors import ClaimError, DriverError, HostError, NotReadyError, shorten
from amdgpu_dra.api.resource import (
    GROUP,
    Claim,
    ObjectRef,
    ResourceSlice,
    SliceEvent,
    decode_claim,
    decode_slice,
    encode_slice,
)
from amdgpu_dra.edge.kube.connection import Connection, StatusError
from amdgpu_dra.edge.kube.group import ResourceGroup

_SLICES, _CLAIMS = "resourceslices", "resourceclaims"
# Claims of a page: as many as kubectl asks for.
_PAGE = 500
# Events of objects without a namespace lie in this one. A node's are found by its name in place of a UID, as the
# kubelet's are.
_DEFAULT = "default"
_LONGEST_NOTE = 1024
# Of the object's name in an Event's, whose own is 253 at most.
_LONGEST_NAME = 230
# A Retry-After beyond this many seconds is not meant for us.
_LONGEST_REST = 60.0
_FORBIDDEN, _CONFLICT, _GONE, _INVALID = 403, 409, 410, 422
_LOG = logging.getLogger("kube")


class KubeApi:
    """What the plugin asks of the API server."""

    def __init__(self, connection: Connection, *, driver: str, node: str) -> None:
        self._connection, self._driver, self._node = connection, driver, node
        self._group = ResourceGroup(connection)
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
        path = f"namespaces/{quote(namespace, safe='')}/{_CLAIMS}/{quote(name, safe='')}"
        try:
            return decode_claim(await self._group.request("GET", path))
        except StatusError as error:
            if error.object_missing:
                return None
            raise _not_ready(where, error) from error
        except ValueError as error:
            raise ClaimError(
                where,
                expected="an allocation as the API defines it",
                found=str(error),
                action="delete the claim so that it is allocated anew",
            ) from error

    async def list_claims(self) -> AsyncIterator[Claim]:
        """See the port. The server has no selector for what a claim is allocated: that is the caller's."""
        query = {"limit": str(_PAGE)}
        while True:
            try:
                found = await self._group.request("GET", _CLAIMS, query=query)
            except StatusError as error:
                raise _not_listed(error) from error
            for item in _items("ResourceClaims", found):
                try:
                    yield decode_claim(item)
                except ValueError as error:
                    _LOG.warning("a listed claim is passed over: %s", error)
            metadata = found.get("metadata")
            if not isinstance(metadata, dict) or not metadata.get("continue"):
                return
            query["continue"] = str(metadata["continue"])

    async def post_event(self, reason: str, message: str, about: ObjectRef | None) -> None:
        """See the port."""
        namespace, regarding = _DEFAULT, {"apiVersion": "v1", "kind": "Node", "name": self._node, "uid": self._node}
        if about is not None:
            namespace = about.namespace
            version = "v1" if about.kind == "Pod" else f"{GROUP}/{await self._find_version()}"
            regarding = {"apiVersion": version, "kind": about.kind, "namespace": namespace}
            regarding |= {"name": about.name, "uid": about.uid}
        # The one use of the time of day: what a reader sees. Names come from no clock, which may stand or go back.
        now = datetime.now(UTC)  # noqa: TID251
        event = {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {
                "name": f"{regarding['name'][:_LONGEST_NAME].rstrip('.-')}.{token_hex(8)}",
                "namespace": namespace,
            },
            "eventTime": now.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "reportingController": self._driver,
            "reportingInstance": self._node,
            "action": "Prepare" if about is not None else "Publish",
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

    async def _find_version(self) -> str:
        try:
            return await self._group.find_version()
        except StatusError as error:
            raise _not_ready(f"versions of {GROUP}", error) from error

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
            found = await self._group.request("POST", _SLICES, query={"dryRun": "All"}, body=encode_slice(item))
        except StatusError as error:
            if error.code == _INVALID:
                return None
            raise _not_ready(f"trial of ResourceSlice {item.name}", error) from error
        return _slice(found)

    async def list_slices(self) -> tuple[list[ResourceSlice], str]:
        """See the port."""
        try:
            found = await self._group.request("GET", _SLICES, query=self._selector)
        except StatusError as error:
            raise _not_ready("ResourceSlices", error) from error
        return [_slice(item) for item in _items("ResourceSlices", found)], _text(found, "metadata", "resourceVersion")

    async def create_slice(self, item: ResourceSlice) -> ResourceSlice:
        """See the port."""
        return await self._write("POST", _SLICES, item)

    async def update_slice(self, item: ResourceSlice) -> ResourceSlice:
        """See the port."""
        return await self._write("PUT", f"{_SLICES}/{item.name}", item)

    async def _write(self, method: str, path: str, item: ResourceSlice) -> ResourceSlice:
        try:
            return _slice(await self._group.request(method, path, body=encode_slice(item)))
        except StatusError as error:
            raise _not_ready(f"ResourceSlice {item.name}", error) from error

    async def delete_slice(self, item: ResourceSlice) -> None:
        """See the port."""
        body = {"preconditions": {"uid": item.uid, "resourceVersion": item.resource_version}}
        try:
            await self._group.request("DELETE", f"{_SLICES}/{item.name}", body=body)
        except StatusError as error:
            if not error.object_missing:
                raise _not_ready(f"ResourceSlice {item.name}", error) from error

    async def watch_slices(self, version: str, seconds: int) -> AsyncGenerator[SliceEvent]:
        """See the port."""
        query = {**self._selector, "resourceVersion": version}
        try:
            async for event in self._group.stream(_SLICES, query, seconds):
                if event.get("type") == "ERROR":
                    # Mostly 410, and whatever it is a list puts it right.
                    yield SliceEvent(version="")
                    return
                item = event.get("object")
                seen = _text(item, "metadata", "resourceVersion")
                if event.get("type") == "BOOKMARK":
                    yield SliceEvent(version=seen)
                else:
                    yield SliceEvent(version=seen, item=_slice(item), deleted=event.get("type") == "DELETED")
        except StatusError as error:
            if error.code != _GONE:
                raise _not_ready("ResourceSlices", error) from error
            yield SliceEvent(version="")


def _not_listed(error: StatusError) -> DriverError:
    if error.code != _FORBIDDEN:
        return _not_ready("list of ResourceClaims", error)
    return HostError(
        "list of ResourceClaims",
        expected="the right `list` on resourceclaims of resource.k8s.io in the plugin's ClusterRole",
        found=f"status {error.code}: {error.message}",
        action="give it that right, as the chart does; without it a lost claim waits for the kubelet's next Prepare",
    )


def _slice(raw: object) -> ResourceSlice:
    try:
        return decode_slice(raw)
    except ValueError as error:
        raise _not_as_promised("ResourceSlices", str(error)) from error


def _items(where: str, found: Mapping[str, Any]) -> list[Any]:
    items = found.get("items") or []
    if not isinstance(items, list):
        raise _not_as_promised(where, f"items: {shorten(items)}")
    return items


def _text(raw: object, *names: str) -> str:
    found = raw
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, str):
        raise _not_as_promised(".".join(names), shorten(found))
    return found


def _not_as_promised(where: str, found: str) -> NotReadyError:
    action = "it is asked again; if this lasts, look at what stands between this node and the API server"
    return NotReadyError(where, expected="an object as the API defines it", found=found, action=action)


def _not_ready(where: str, error: StatusError, *, hint: str = "") -> NotReadyError:
    actions = {
        401: "check the credentials of the plugin",
        403: "check the plugin's ClusterRole and its binding",
        404: hint or f"check that the API server serves {GROUP} as it says: kubectl api-resources --api-group={GROUP}",
        _CONFLICT: "it is read and written again",
        _INVALID: "report this: the driver checks its slices before it sends them",
    }
    raised = NotReadyError(
        where,
        expected="the API server to agree",
        found=f"status {error.code}: {error.message}",
        action=actions.get(error.code, "it is tried again"),
    )
    raised.retry_after = None if error.retry_after is None else min(error.retry_after, _LONGEST_REST)
    # Not those that say "later": a time-out, a conflict, too many requests, or a server that is not well.
    raised.refused = 400 <= error.code < 500 and error.code not in (408, _CONFLICT, 429)  # noqa: PLR2004
    return raised

"""The stand-in of the API server."""

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

from aiohttp import web

from amdgpu_dra.api.resource import GROUP, from_v1, to_v1

type Key = tuple[str, str, str]
"""Resource, namespace, name."""

_NAMESPACE = {"kind": "Namespace", "metadata": {"name": "default", "uid": "default", "resourceVersion": "1"}}


def write_kubeconfig(path: Path, address: str, token: str = "") -> None:
    """Credentials for an API server on this machine."""
    cluster: dict[str, Any] = {"server": address}
    if address.startswith("https"):
        cluster["insecure-skip-tls-verify"] = True
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": token} if token else {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }
    path.write_text(json.dumps(config))


# How the plugin introduces itself.
_PLUGIN = "amdgpu-dra"


class FakeApi:
    """Objects of nodes, resourceslices and resourceclaims, over HTTP on this machine."""

    def __init__(self) -> None:
        self._objects: dict[Key, dict[str, Any]] = {("namespaces", "", "default"): _NAMESPACE}
        self._events: list[tuple[int, str, str, dict[str, Any]]] = []
        self._version = 1
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self.address = ""
        self.requests: list[tuple[str, str]] = []
        # Those of the plugin, as the table of requests in the docs names them: `list resourceslices`, …
        self.asked: list[str] = []
        # The next requests get these answers in place of theirs: status and headers.
        self.refusals: list[tuple[int, dict[str, str]]] = []
        # A watch from before this version is refused as too old.
        self.oldest = 0
        self._watching: set[asyncio.Task[None]] = set()
        # While it is cleared, reads of single objects wait.
        self.answering = asyncio.Event()
        self.answering.set()
        self.writes = 0
        self.version = "v1.37.0"
        # Versions of resource.k8s.io that are served; none: nor is the group.
        self.serves: tuple[str, ...] = ("v1",)
        # As with the feature gate DRAPartitionableDevices off.
        self.drops_counters = False
        # Resources that may not be listed.
        self.unlisted: set[str] = set()

    async def start(self, port: int = 0) -> None:
        """Serves on a port, 0 for any."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.address = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        """Answers no more; the objects stay."""
        if self._runner is not None:
            # Those whose client has gone are not known to the runner any more.
            left = list(self._watching)
            self.end_watches()
            await asyncio.gather(*left, return_exceptions=True)
            await self._runner.cleanup()
            self._runner = None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append((request.method, request.path))
        if request.headers.get("User-Agent", "").startswith(_PLUGIN):
            self.asked.append(_name(request))
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return web.json_response(
                {"kind": "Status", "code": status, "message": "refused"}, status=status, headers=headers
            )
        parts = request.path.strip("/").split("/")
        known = self._tell_versions(request.path, parts)
        if known is not None:
            return known
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = rest[1] if rest[:1] == ["namespaces"] and len(rest) > 2 else ""
        rest = rest[2:] if namespace else rest
        if not rest:
            return _status(404, "no such path")
        resource, name = rest[0], rest[1] if len(rest) > 1 else ""
        if request.method == "GET":
            return await self._get(request, resource, namespace, name)
        body = to_v1(await request.json(), _version(request)) if request.can_read_body else {}
        if self.drops_counters and resource == "resourceslices":
            _drop_counters(body)
        if request.query.get("dryRun") == "All":
            return _object(request, body)
        self.writes += 1
        async with self._changed:
            answer = self._write(request.method, (resource, namespace, name), body, status=rest[-1] == "status")
            self._changed.notify_all()
        return answer if isinstance(answer, web.Response) else _object(request, answer)

    def _tell_versions(self, path: str, parts: list[str]) -> web.Response | None:
        """What is answered without a look at objects; None if there has to be one."""
        if path == "/version":
            return web.json_response({"gitVersion": self.version})
        if parts == ["apis", GROUP] and self.serves:
            versions = [{"groupVersion": f"{GROUP}/{name}", "version": name} for name in self.serves]
            return web.json_response({"kind": "APIGroup", "name": GROUP, "versions": versions})
        if parts[:2] == ["apis", GROUP] and (len(parts) < 3 or parts[2] not in self.serves):
            return web.Response(status=404, text="404 page not found")
        return None

    async def _get(self, request: web.Request, resource: str, namespace: str, name: str) -> web.StreamResponse:
        if name:
            await self.answering.wait()
            found = self._objects.get((resource, namespace, name))
            return _missing(resource, name) if found is None else _object(request, found)
        selector = _selector(request.query.get("fieldSelector", ""))
        if request.query.get("watch"):
            return await self._watch(request, resource, selector)
        if resource in self.unlisted:
            return _status(403, f"{resource} is forbidden: cannot list resource")
        items = [
            from_v1(o, _version(request))
            for (kind, ns, _), o in self._objects.items()
            if kind == resource and namespace in ("", ns) and _matches(o, selector)
        ]
        metadata = {"resourceVersion": str(self._version)}
        begin, limit = int(request.query.get("continue") or 0), int(request.query.get("limit") or 0)
        if limit and len(items) > begin + limit:
            metadata["continue"] = str(begin + limit)
        return web.json_response({"metadata": metadata, "items": items[begin : begin + limit if limit else None]})

    async def _watch(self, request: web.Request, resource: str, selector: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        seen = int(request.query.get("resourceVersion") or self._version)
        if seen < self.oldest:
            status = {"kind": "Status", "code": 410, "message": "too old resource version"}
            await response.write(json.dumps({"type": "ERROR", "object": status}).encode() + b"\n")
            return response
        # Apart from the request's own, so that it ends by itself and the answer is completed.
        watching = asyncio.create_task(self._send_events(request, response, (resource, selector), seen))
        self._watching.add(watching)
        try:
            await asyncio.wait({watching})
        finally:
            self._watching.discard(watching)
            watching.cancel()
        return response

    def end_watches(self) -> None:
        """Every watch ends, as when its time is over."""
        for watching in self._watching:
            watching.cancel()

    def forget(self) -> None:
        """Every watch ends, and none can go on from before now."""
        self.oldest = self._version
        self.end_watches()

    async def _send_events(
        self, request: web.Request, response: web.StreamResponse, wanted: tuple[str, dict[str, str]], seen: int
    ) -> None:
        resource, selector = wanted
        while True:
            async with self._changed:
                while not (news := [event for event in self._events if event[0] > seen]):
                    await self._changed.wait()
            for version, kind, of, item in news:
                seen = version
                if of == resource and _matches(item, selector):
                    try:
                        told = {"type": kind, "object": from_v1(item, _version(request))}
                        await response.write(json.dumps(told).encode() + b"\n")
                    except ConnectionResetError:
                        # Who watched has gone.
                        return

    def _write(self, method: str, key: Key, body: dict[str, Any], *, status: bool) -> web.Response | dict[str, Any]:
        resource, namespace, name = key
        name = name or body.get("metadata", {}).get("name", "")
        old = self._objects.get((resource, namespace, name))
        if method == "POST" and old is not None:
            return _status(409, f'{resource} "{name}" already exists')
        if method in {"PUT", "DELETE"} and old is None:
            return _missing(resource, name)
        if method == "DELETE" and old is not None:
            return self._delete((resource, namespace, name), old, body)
        version = body.get("metadata", {}).get("resourceVersion")
        if method == "PUT" and old is not None and version and version != old["metadata"]["resourceVersion"]:
            return _status(409, "the object has been modified")
        changed = {**old, "status": body.get("status")} if status and old is not None else body
        item: dict[str, Any] = json.loads(json.dumps(changed))
        item["metadata"] |= {"name": name, "uid": old["metadata"]["uid"] if old else str(uuid.uuid4())}
        if namespace:
            item["metadata"]["namespace"] = namespace
        self._keep((resource, namespace, name), item, "MODIFIED" if old else "ADDED")
        return item

    def _keep(self, key: Key, item: dict[str, Any], kind: str) -> None:
        self._version += 1
        item["metadata"]["resourceVersion"] = str(self._version)
        if kind == "DELETED":
            self._objects.pop(key)
        else:
            self._objects[key] = item
        self._events.append((self._version, kind, key[0], item))

    def _delete(self, key: Key, old: dict[str, Any], body: dict[str, Any]) -> web.Response | dict[str, Any]:
        wanted = body.get("preconditions") or {}
        if wanted.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            return _status(409, "the UID in the precondition does not match")
        self._keep(key, json.loads(json.dumps(old)), "DELETED")
        return old


def _drop_counters(item: dict[str, Any]) -> None:
    spec = item.get("spec") or {}
    spec.pop("sharedCounters", None)
    for device in spec.get("devices") or []:
        device.pop("consumesCounters", None)


def _version(request: web.Request) -> str:
    """Of resource.k8s.io as a request speaks it; other groups have one version."""
    parts = request.path.strip("/").split("/")
    return parts[2] if parts[:2] == ["apis", GROUP] else "v1"


def _object(request: web.Request, item: dict[str, Any]) -> web.Response:
    """An object in the version of the request. What is kept is of v1, as on a real server of one storage version."""
    return web.json_response(from_v1(item, _version(request)))


def _missing(resource: str, name: str) -> web.Response:
    status = {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404}
    message, details = f'{resource} "{name}" not found', {"name": name, "kind": resource}
    return web.json_response({**status, "message": message, "details": details}, status=404)


def _status(code: int, message: str) -> web.Response:
    return web.json_response({"kind": "Status", "status": "Failure", "message": message, "code": code}, status=code)


def _name(request: web.Request) -> str:
    """Verb and resource: `get resourceclaims`; a dry run is a `try`."""
    parts = request.path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    rest = rest[2:] if rest and rest[0] == "namespaces" and len(rest) > 2 else rest
    if not rest:
        return f"{request.method.lower()} {request.path.strip('/')}"
    if request.method == "GET":
        verb = "get" if len(rest) > 1 else "watch" if request.query.get("watch") else "list"
    else:
        verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}[request.method]
    return f"{'try' if request.query.get('dryRun') == 'All' else verb} {rest[0]}"


def _selector(text: str) -> dict[str, str]:
    return dict(item.split("=", 1) for item in text.split(",") if item)


def _matches(item: dict[str, Any], selector: dict[str, str]) -> bool:
    for path, value in selector.items():
        found: Any = item
        for part in path.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        if found != value:
            return False
    return True

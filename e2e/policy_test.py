"""The chart's admission policy on a real API server, with tokens like those that a kubelet mounts into pods."""

import asyncio
from typing import Any

from harness import Server, chart_objects, open_server

VERSIONS = ("v1", "v1beta2", "v1beta1")
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"
NAMESPACE = "/api/v1/namespaces/amd-gpu"
PLUGIN = "driver-k8s-gpu-dra-driver"
FORBIDDEN, CREATED, OK = 403, 201, 200


def _slices(version: str) -> str:
    return f"/apis/resource.k8s.io/{version}/resourceslices"


def _slice(version: str, name: str, *, node: str, driver: str = "gpu.amd.com") -> dict[str, Any]:
    pool = {"name": node or "all", "generation": 1, "resourceSliceCount": 1}
    where = {"nodeName": node} if node else {"allNodes": True}
    return {
        "apiVersion": f"resource.k8s.io/{version}",
        "kind": "ResourceSlice",
        "metadata": {"name": name},
        "spec": {"driver": driver, "pool": pool, **where},
    }


async def _install_policy(server: Server) -> None:
    """The policy alone of the chart, and the account and nodes that it is about."""
    await server.make("/api/v1/namespaces", {"metadata": {"name": "amd-gpu"}})
    for item in chart_objects():
        kind = item["kind"].lower()
        if kind in {"validatingadmissionpolicy", "validatingadmissionpolicybinding"}:
            await server.make(POLICIES if kind.endswith("policy") else f"{POLICIES[:-3]}ybindings", item)
    for account in (PLUGIN, "other"):
        await server.make(f"{NAMESPACE}/serviceaccounts", {"metadata": {"name": account}})
    for node in ("a", "b"):
        await server.make("/api/v1/nodes", {"metadata": {"name": node}})


async def _token(server: Server, account: str, node: str) -> str:
    """A token of an account, bound to a pod on a node; on none if `node` is empty."""
    request: dict[str, Any] = {"expirationSeconds": 3600}
    if node:
        spec = {
            "nodeName": node,
            "serviceAccountName": account,
            "containers": [{"name": "plugin", "image": "r.example/p"}],
        }
        pod = await server.make(f"{NAMESPACE}/pods", {"metadata": {"generateName": "plugin-"}, "spec": spec})
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        request["boundObjectRef"] = {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uid}
    made = await server.make(f"{NAMESPACE}/serviceaccounts/{account}/token", {"spec": request})
    token: str = made["status"]["token"]
    return token


async def _wait_active(plugin: Server) -> None:
    """The API server reads a new policy within moments; dry runs find out when."""
    body = _slice("v1", "probe", node="b")
    while (await plugin.call("POST", f"{_slices('v1')}?dryRun=All", body)).status == CREATED:
        await asyncio.sleep(0.1)


async def _check_own(plugin: Server, version: str) -> None:
    """Its own node's slices are its to create, change and delete."""
    made = await plugin.make(_slices(version), _slice(version, f"own-{version}", node="a"))
    path = f"{_slices(version)}/{made['metadata']['name']}"
    made["spec"]["pool"]["generation"] = 2
    assert (await plugin.call("PUT", path, made)).status == OK
    assert (await plugin.call("DELETE", path)).status == OK


async def _check_foreign(server: Server, plugin: Server, version: str) -> None:
    """Another node's are not, nor those of all nodes or of another driver; the answer says what was expected."""
    for body, message in (
        (_slice(version, "new", node="b"), "spec.nodeName: expected a, the node of the pod, found b"),
        (_slice(version, "new", node=""), "spec.nodeName: expected a, the node of the pod, found no node"),
        (_slice(version, "new", node="a", driver="x.example"), "spec.driver: expected gpu.amd.com, found x.example"),
    ):
        answer = await plugin.call("POST", _slices(version), body)
        assert (answer.status, message in answer.body["message"]) == (FORBIDDEN, True), answer.body
    for node, driver in (("b", "gpu.amd.com"), ("a", "x.example")):
        there = await server.make(_slices(version), _slice(version, f"{node}-{version}", node=node, driver=driver))
        path = f"{_slices(version)}/{there['metadata']['name']}"
        there["spec"]["pool"]["generation"] = 2
        assert (await plugin.call("PUT", path, there)).status == FORBIDDEN
        assert (await plugin.call("DELETE", path)).status == FORBIDDEN
        assert (await plugin.call("DELETE", _slices(version))).status == FORBIDDEN
        assert (await server.call("GET", path)).body["spec"]["pool"]["generation"] == 1
        assert (await server.call("DELETE", path)).status == OK


async def _check_others(others: dict[str, Server], version: str) -> None:
    """Accounts that are not the plugin's write what they may write anyway."""
    for name, other in others.items():
        made = await other.make(_slices(version), _slice(version, f"{name}-{version}", node="b"))
        path = f"{_slices(version)}/{made['metadata']['name']}"
        assert (await other.call("PUT", path, made)).status == OK
        assert (await other.call("DELETE", path)).status == OK


def test_a_plugin_writes_slices_of_its_own_node_alone() -> None:
    """In every version: its own may be created, changed and deleted; others' may not; other accounts are left alone."""

    async def run() -> None:
        served = ",".join(f"resource.k8s.io/{version}=true" for version in VERSIONS)
        async with asyncio.timeout(240), open_server(served) as server:
            await _install_policy(server)
            plugin = server.with_token(await _token(server, PLUGIN, "a"))
            other = server.with_token(await _token(server, "other", "a"))
            await _wait_active(plugin)
            for version in VERSIONS:
                await _check_own(plugin, version)
                await _check_foreign(server, plugin, version)
                await _check_others({"admin": server, "other": other}, version)

    asyncio.run(run())


def test_a_token_of_no_node_writes_nothing() -> None:
    """A token of the plugin's account that is bound to no pod, as one that was made elsewhere, is refused."""

    async def run() -> None:
        async with asyncio.timeout(240), open_server() as server:
            await _install_policy(server)
            plugin = server.with_token(await _token(server, PLUGIN, ""))
            await _wait_active(plugin)
            answer = await plugin.call("POST", _slices("v1"), _slice("v1", "new", node="a"))
            assert answer.status == FORBIDDEN
            assert "authentication.kubernetes.io/node-name" in answer.body["message"]

    asyncio.run(run())

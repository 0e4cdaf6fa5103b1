"""Finds a plugin by its registration socket and calls it, with the kubelet's deadlines and checks."""

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import grpc
import grpc.aio
from kubelet.dra.v1 import dra_pb2, dra_pb2_grpc
from kubelet.health.v1 import health_pb2
from kubelet.health.v1alpha1 import health_pb2 as health_v1alpha1
from kubelet.pluginregistration.v1 import registration_pb2, registration_pb2_grpc

_KNOWN = ("v1.DRAPlugin", "v1beta1.DRAPlugin")
_CALL_SECONDS = 45
# A socket that a killed plugin left is dialled until the next one listens there; not only once a second.
_DIAL = [("grpc.initial_reconnect_backoff_ms", 20), ("grpc.max_reconnect_backoff_ms", 200)]
_HEALTH: dict[str, ModuleType] = {"v1": health_pb2, "v1alpha1": health_v1alpha1}


class KubeletError(Exception):
    """What would make a kubelet fail the pod."""


class FakeKubelet:
    """One kubelet, which knows one plugin at a time."""

    def __init__(self, registry: Path) -> None:
        self._registry = registry
        self._channel: grpc.aio.Channel | None = None
        self._stub: Any = None
        self.endpoint = ""

    async def register(self, driver: str, *, seconds: float = 20) -> registration_pb2.PluginInfo:
        """Waits for the plugin's socket, asks and tells, as the plugin manager does.

        Raises:
            KubeletError: the plugin says nothing that a kubelet could use.
        """
        path = self._registry / f"{driver}-reg.sock"
        async with asyncio.timeout(seconds):
            while not path.exists():
                await asyncio.sleep(0.005)
        return await self.register_at(path, seconds=seconds)

    async def register_at(
        self, path: Path, *, seconds: float = 20, taken: frozenset[str] = frozenset()
    ) -> registration_pb2.PluginInfo:
        """Asks and tells at a socket; an endpoint that another instance has is refused. Raises as `register`."""
        async with grpc.aio.insecure_channel(f"unix:{path}", options=_DIAL) as channel:
            stub = registration_pb2_grpc.RegistrationStub(channel)  # type: ignore[no-untyped-call]
            info = await stub.GetInfo(registration_pb2.InfoRequest(), timeout=seconds, wait_for_ready=True)
            if info.type != "DRAPlugin" or not set(info.supported_versions) & set(_KNOWN) or info.endpoint in taken:
                raise KubeletError(f"cannot use {info}")
            await self.connect(info.endpoint)
            await stub.NotifyRegistrationStatus(registration_pb2.RegistrationStatus(plugin_registered=True), timeout=5)
        return cast("registration_pb2.PluginInfo", info)

    async def connect(self, endpoint: str) -> None:
        """Opens the one connection to the plugin."""
        await self.close()
        self.endpoint = endpoint
        self._channel = grpc.aio.insecure_channel(f"unix:{endpoint}", options=_DIAL)
        self._stub = dra_pb2_grpc.DRAPluginStub(self._channel)  # type: ignore[no-untyped-call]
        self._channel.get_state(try_to_connect=True)

    @property
    def connected(self) -> bool:
        """Whether the connection stands."""
        return self._channel is not None and self._channel.get_state() is grpc.ChannelConnectivity.READY

    async def prepare(self, *claims: dict[str, Any], wait: bool = True) -> dict[str, Any]:
        """UID -> the plugin's answer for each claim object; may wait for a connection. Raises KubeletError."""
        response = await self._stub.NodePrepareResources(
            dra_pb2.NodePrepareResourcesRequest(claims=[_claim(claim) for claim in claims]),
            timeout=_CALL_SECONDS,
            wait_for_ready=wait,
        )
        return _checked(response, claims)

    async def unprepare(self, *claims: dict[str, Any], wait: bool = True) -> dict[str, Any]:
        """The same for Unprepare."""
        response = await self._stub.NodeUnprepareResources(
            dra_pb2.NodeUnprepareResourcesRequest(claims=[_claim(claim) for claim in claims]),
            timeout=_CALL_SECONDS,
            wait_for_ready=wait,
        )
        return _checked(response, claims)

    async def watch(self, version: str = "v1") -> AsyncGenerator[dict[str, Any]]:
        """Name -> health of each report, as the stream of that version brings them; ends with it.

        Raises:
            KubeletError: a report has a device twice, or of another pool than the first.
        """
        messages = _HEALTH[version]
        if self._channel is None:
            raise KubeletError("not connected")
        stream = self._channel.unary_stream(
            f"/{version}.DRAResourceHealth/NodeWatchResources",
            messages.NodeWatchResourcesRequest.SerializeToString,
            messages.NodeWatchResourcesResponse.FromString,
        )(messages.NodeWatchResourcesRequest(), wait_for_ready=True)
        try:
            async for report in stream:
                found = {item.device.device_name: item for item in report.devices}
                if len(found) != len(report.devices) or len({item.device.pool_name for item in report.devices}) > 1:
                    raise KubeletError(f"a device twice, or pools mixed: {report}")
                yield found
        finally:
            stream.cancel()

    async def close(self) -> None:
        """Closes the connection."""
        if self._channel is not None:
            await self._channel.close(None)
            self._channel = None


def _claim(claim: dict[str, Any]) -> dra_pb2.Claim:
    metadata = claim["metadata"]
    return dra_pb2.Claim(namespace=metadata["namespace"], name=metadata["name"], uid=metadata["uid"])


def _checked(response: Any, claims: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """An entry for every claim and none besides, as the kubelet demands."""
    asked = {claim["metadata"]["uid"] for claim in claims}
    if asked != set(response.claims):
        raise KubeletError(f"asked for {sorted(asked)}, answered {sorted(response.claims)}")
    return dict(response.claims)

"""The registration service, which the kubelet's plugin manager calls."""

import logging
from collections.abc import Callable
from typing import Any

import grpc
from kubelet.pluginregistration.v1 import registration_pb2 as messages

from amdgpu_dra.edge.kubelet import dra, watch

_LOG = logging.getLogger("kubelet")


class RegistrationService:
    """Tells the kubelet where the DRA service is, and keeps what the kubelet said of it.

    `registered` is None until the kubelet spoke; then whether it took the plugin, and `error` says why not.
    """

    def __init__(self, driver: str, endpoint: str) -> None:
        self._info = messages.PluginInfo(
            type="DRAPlugin",
            name=driver,
            endpoint=endpoint,
            supported_versions=(*dra.SUPPORTED, *watch.SUPPORTED),
        )
        self.registered: bool | None = None
        self.error = ""
        # Told what the kubelet said when it did not take the plugin.
        self.on_refused: Callable[[str], None] = lambda _: None

    def handler(self) -> "grpc.GenericRpcHandler[Any, Any]":
        """The service for gRPC."""
        return grpc.method_handlers_generic_handler(
            "pluginregistration.Registration",
            {
                "GetInfo": grpc.unary_unary_rpc_method_handler(
                    self._get_info, messages.InfoRequest.FromString, messages.PluginInfo.SerializeToString
                ),
                "NotifyRegistrationStatus": grpc.unary_unary_rpc_method_handler(
                    self._notify,
                    messages.RegistrationStatus.FromString,
                    messages.RegistrationStatusResponse.SerializeToString,
                ),
            },
        )

    async def _get_info(self, _request: Any, _context: Any) -> messages.PluginInfo:
        return self._info

    async def _notify(self, request: Any, _context: Any) -> messages.RegistrationStatusResponse:
        """Never fails: a kubelet whose notification fails takes the plugin for present and does not try again."""
        self.registered, self.error = request.plugin_registered, request.error
        if request.plugin_registered:
            _LOG.info("registered by the kubelet")
        else:
            self.on_refused(f"the kubelet refused the registration: {request.error}")
            _LOG.error(
                "the kubelet refused the registration: %s; it tries again by itself, see its log for driver %s",
                request.error,
                self._info.name,
            )
        return messages.RegistrationStatusResponse()

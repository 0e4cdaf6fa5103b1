"""The DRA service, v1 and v1beta1 by one handler."""

import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from types import ModuleType
from typing import Any, Protocol

import grpc
from kubelet.dra.v1 import dra_pb2 as v1
from kubelet.dra.v1beta1 import dra_pb2 as v1beta1

from amdgpu_dra.core.claims import PlannedDevice

_LOG = logging.getLogger("kubelet")

SERVICES: dict[str, ModuleType] = {
    "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin": v1,
    "k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin": v1beta1,
}
# What a plugin says at registration, most wanted first: a kubelet takes the first that it knows.
SUPPORTED = ("v1.DRAPlugin", "v1beta1.DRAPlugin")


class Result(Protocol):
    """An answer of the agent for one claim."""

    @property
    def devices(self) -> tuple[PlannedDevice, ...]:
        """What was prepared."""
        ...

    @property
    def error(self) -> str:
        """Why not; empty if all is well."""
        ...


type ClaimId = tuple[str, str, str]
"""UID, namespace, name."""
type Handler = Callable[[Iterable[ClaimId]], Awaitable[Mapping[str, Result]]]


class DraService:
    """Handlers for gRPC, by service name."""

    def __init__(self, prepare: Handler, unprepare: Handler) -> None:
        self._prepare, self._unprepare = prepare, unprepare

    def handlers(self) -> "list[grpc.GenericRpcHandler[Any, Any]]":
        """One generic handler for each version of the service."""
        return [
            grpc.method_handlers_generic_handler(
                name,
                {
                    "NodePrepareResources": grpc.unary_unary_rpc_method_handler(
                        self._call(messages, "Prepare", self._prepare),
                        messages.NodePrepareResourcesRequest.FromString,
                        messages.NodePrepareResourcesResponse.SerializeToString,
                    ),
                    "NodeUnprepareResources": grpc.unary_unary_rpc_method_handler(
                        self._call(messages, "Unprepare", self._unprepare),
                        messages.NodeUnprepareResourcesRequest.FromString,
                        messages.NodeUnprepareResourcesResponse.SerializeToString,
                    ),
                },
            )
            for name, messages in SERVICES.items()
        ]

    def _call(self, messages: ModuleType, verb: str, handler: Handler) -> Callable[[Any, Any], Awaitable[Any]]:
        async def call(request: Any, _context: Any) -> Any:
            start = time.perf_counter()
            answers = await handler((claim.uid, claim.namespace, claim.name) for claim in request.claims)
            response = getattr(messages, f"Node{verb}ResourcesResponse")()
            # By answers: a claim that stands twice in a batch has one.
            for uid, answer in answers.items():
                _fill(response.claims[uid], answer, with_share=messages is v1)
            _log(verb, request, answers, time.perf_counter() - start)
            return response

        return call


def _fill(entry: Any, answer: Result, *, with_share: bool) -> None:
    """Fills a claim's entry of a response; an empty one is present all the same."""
    entry.SetInParent()
    if answer.error:
        entry.error = answer.error
        return
    for device in answer.devices:
        message = entry.devices.add(
            request_names=[device.request],
            pool_name=device.pool,
            device_name=device.device,
            cdi_device_ids=device.cdi_ids,
        )
        if with_share and device.share_id is not None:
            message.share_id = device.share_id


def _log(verb: str, request: Any, answers: Mapping[str, Result], seconds: float) -> None:
    """One line for each claim of a call."""
    for claim in request.claims:
        answer = answers[claim.uid]
        facts = {"claim": f"{claim.namespace}/{claim.name}", "uid": claim.uid, "ms": round(seconds * 1000, 1)}
        if answer.error:
            _LOG.error("%s failed: %s", verb, answer.error, extra={"facts": facts})
        else:
            devices = ",".join(device.device for device in answer.devices)
            _LOG.info("%s done", verb, extra={"facts": facts | ({"devices": devices} if devices else {})})

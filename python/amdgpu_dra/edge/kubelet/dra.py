"""The DRA service, v1 and v1beta1 by one handler."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from types import ModuleType
from typing import Any, Protocol

import grpc
from kubelet.dra.v1 import dra_pb2 as v1
from kubelet.dra.v1beta1 import dra_pb2 as v1beta1

from amdgpu_dra.api.logs import Facts, facts, join
from amdgpu_dra.core.claims import PlannedDevice

_LOG = logging.getLogger("kubelet")

SERVICES: dict[str, ModuleType] = {
    "k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin": v1,
    "k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin": v1beta1,
}
# What a plugin says at registration, most wanted first: a kubelet takes the first that it knows.
SUPPORTED = ("v1.DRAPlugin", "v1beta1.DRAPlugin")
# What a kubelet takes of an answer: gRPC's default for clients (manager.go sets no other). Errors in place of devices
# take the reserve.
_LONGEST_ANSWER = 4 << 20
_RESERVE = 512 << 10
# A kubelet puts a claim's error into an Event of its own, which has 1,024.
_LONGEST_ERROR = 1000


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
        self._numbers = count(1)
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def wait_idle(self) -> None:
        """Returns at a moment at which no call runs."""
        await self._idle.wait()

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

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._running += 1
        self._idle.clear()
        try:
            yield
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    def _call(self, messages: ModuleType, verb: str, handler: Handler) -> Callable[[Any, Any], Awaitable[Any]]:
        async def call(request: Any, _context: Any) -> Any:
            start = time.perf_counter()
            # A probe of our own has no claim, and comes every few seconds.
            number = next(self._numbers) if request.claims else 0
            response = getattr(messages, f"Node{verb}ResourcesResponse")()
            try:
                with self._counted():
                    answers = await handler((claim.uid, claim.namespace, claim.name) for claim in request.claims)
            except asyncio.CancelledError:
                _log(verb, number, request.claims, response, time.perf_counter() - start)
                raise
            # By answer, not by request: a claim that is named twice has one entry.
            for uid, answer in answers.items():
                _fill(response.claims[uid], answer, with_share=messages is v1)
            _fit(response)
            if number:
                _log(verb, number, request.claims, response, time.perf_counter() - start)
            return response

        return call


def _fill(entry: Any, answer: Result, *, with_share: bool) -> None:
    """Fills a claim's entry of a response; an empty one is present all the same."""
    entry.SetInParent()
    if answer.error:
        entry.error = answer.error if len(answer.error) <= _LONGEST_ERROR else f"{answer.error[:_LONGEST_ERROR]}…"
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


def _fit(response: Any) -> None:
    """Cuts an answer down to what the kubelet takes: the claims that are too much get an error, one by one.

    The kubelet would refuse the whole answer, and each one after it: gRPC's limit counts the bytes of a message.
    """
    if response.ByteSize() <= _LONGEST_ANSWER:
        return
    size = 0
    for uid, entry in response.claims.items():
        # With its key and the lengths of both; more than it can be.
        size += entry.ByteSize() + len(uid) + 16
        if size > _LONGEST_ANSWER - _RESERVE:
            entry.Clear()
            entry.error = (
                f"claim UID {uid}: expected an answer of at most {_LONGEST_ANSWER} bytes for all claims of one call, "
                "found more; give the pod fewer claims, or claims of fewer devices"
            )


def _log(method: str, number: int, claims: Sequence[Any], response: Any, seconds: float) -> None:
    """The one line of a call; it has no answer if the kubelet has given it up."""
    entries = [response.claims[uid] for uid in dict.fromkeys(claim.uid for claim in claims) if uid in response.claims]
    errors = [entry.error for entry in entries if entry.error]
    fields = Facts(
        method=method,
        call=number,
        count=len(claims),
        failed=len(errors),
        ms=round(seconds * 1000, 1),
        claims=join([f"{claim.namespace}/{claim.name}:{claim.uid}" for claim in claims], ","),
    )
    if method == "Prepare" and len(errors) < len(entries):
        fields["devices"] = join([device.device_name for entry in entries for device in entry.devices], ",")
    if errors:
        fields["error"] = join(errors, "; ")
    if not entries:
        _LOG.warning("%s given up by the kubelet; what has begun goes on", method, extra=facts(**fields))
    elif errors:
        _LOG.error("%s failed", method, extra=facts(**fields))
    else:
        _LOG.info("%s done", method, extra=facts(**fields))

"""The stubs against the wire: bytes written out by hand from the kubelet's field numbers and types."""

import importlib
from typing import Self

import grpc
import pytest
from grpc_health.v1 import health_pb2
from kubelet.dra.v1 import dra_pb2 as v1
from kubelet.dra.v1beta1 import dra_pb2 as v1beta1
from kubelet.health.v1 import health_pb2 as resource_health
from kubelet.health.v1alpha1 import health_pb2 as resource_health_alpha
from kubelet.pluginregistration.v1 import registration_pb2 as registration


def field(number: int, value: bytes) -> bytes:
    """A length-delimited field: key (number, wire type 2), length, bytes; both below 128 here."""
    return bytes([number << 3 | 2, len(value)]) + value


CLAIM = field(1, b"ns") + field(2, b"uid-1") + field(3, b"claim")
HEALTH = field(1, field(1, b"p") + field(2, b"d")) + bytes([2 << 3, 2, 3 << 3, 5, 4 << 3, 30]) + field(5, b"m")
DEVICE = field(1, b"req") + field(2, b"node") + field(3, b"gpu-0") + field(4, b"k8s.gpu.amd.com/gpu=x")

MESSAGES = {
    "claim": (v1.Claim(namespace="ns", uid="uid-1", name="claim"), CLAIM),
    "prepare-request": (
        v1.NodePrepareResourcesRequest(claims=[v1.Claim(namespace="ns", uid="uid-1", name="claim")]),
        field(1, CLAIM),
    ),
    "device": (
        v1.Device(
            request_names=["req"], pool_name="node", device_name="gpu-0", cdi_device_ids=["k8s.gpu.amd.com/gpu=x"]
        ),
        DEVICE,
    ),
    "device-with-share": (
        v1.Device(
            request_names=["req"],
            pool_name="node",
            device_name="gpu-0",
            cdi_device_ids=["k8s.gpu.amd.com/gpu=x"],
            share_id="s",
        ),
        DEVICE + field(5, b"s"),
    ),
    "device-v1beta1": (
        v1beta1.Device(
            request_names=["req"], pool_name="node", device_name="gpu-0", cdi_device_ids=["k8s.gpu.amd.com/gpu=x"]
        ),
        DEVICE,
    ),
    "prepare-error": (v1.NodePrepareResourceResponse(error="no"), field(2, b"no")),
    "prepare-response": (
        v1.NodePrepareResourcesResponse(claims={"u": v1.NodePrepareResourceResponse(error="no")}),
        field(1, field(1, b"u") + field(2, field(2, b"no"))),
    ),
    "unprepare-response": (
        v1.NodeUnprepareResourcesResponse(claims={"u": v1.NodeUnprepareResourceResponse()}),
        field(1, field(1, b"u") + field(2, b"")),
    ),
    "plugin-info": (
        registration.PluginInfo(type="DRAPlugin", name="d", endpoint="/s", supported_versions=["v1.DRAPlugin"]),
        field(1, b"DRAPlugin") + field(2, b"d") + field(3, b"/s") + field(4, b"v1.DRAPlugin"),
    ),
    "registration-status": (
        registration.RegistrationStatus(plugin_registered=True, error="e"),
        bytes([1 << 3, 1]) + field(2, b"e"),
    ),
    "device-health": (
        resource_health.DeviceHealth(
            device=resource_health.DeviceIdentifier(pool_name="p", device_name="d"),
            health=resource_health.HealthStatus.UNHEALTHY,
            last_updated_time=5,
            health_check_timeout_seconds=30,
            message="m",
        ),
        HEALTH,
    ),
    "health-report-v1alpha1": (
        resource_health_alpha.NodeWatchResourcesResponse(
            devices=[
                resource_health_alpha.DeviceHealth(
                    device=resource_health_alpha.DeviceIdentifier(pool_name="p", device_name="d"),
                    health=resource_health_alpha.HealthStatus.UNHEALTHY,
                    last_updated_time=5,
                    health_check_timeout_seconds=30,
                    message="m",
                )
            ]
        ),
        field(1, HEALTH),
    ),
    "health-check": (
        health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING),
        bytes([1 << 3, 1]),
    ),
}


@pytest.mark.parametrize("name", MESSAGES)
def test_message_has_the_bytes_of_the_wire(name: str) -> None:
    """Each message is written as, and read from, the bytes that field numbers and types demand."""
    message, wire = MESSAGES[name]

    assert wire == message.SerializeToString(deterministic=True)
    assert message == type(message).FromString(wire)


def test_share_id_tells_absent_from_empty() -> None:
    """An empty share id is present; one that was never set is absent."""
    assert not v1.Device.FromString(DEVICE).HasField("share_id")
    assert v1.Device.FromString(DEVICE + field(5, b"")).HasField("share_id")


METHODS = {
    "kubelet.pluginregistration.v1.registration": [
        "/pluginregistration.Registration/GetInfo",
        "/pluginregistration.Registration/NotifyRegistrationStatus",
    ],
    "kubelet.dra.v1.dra": [
        "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodePrepareResources",
        "/k8s.io.kubelet.pkg.apis.dra.v1.DRAPlugin/NodeUnprepareResources",
    ],
    "kubelet.dra.v1beta1.dra": [
        "/k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin/NodePrepareResources",
        "/k8s.io.kubelet.pkg.apis.dra.v1beta1.DRAPlugin/NodeUnprepareResources",
    ],
    "kubelet.health.v1.health": ["/v1.DRAResourceHealth/NodeWatchResources"],
    "kubelet.health.v1alpha1.health": ["/v1alpha1.DRAResourceHealth/NodeWatchResources"],
    "grpc_health.v1.health": ["/grpc.health.v1.Health/Check"],
}


@pytest.mark.parametrize("module", METHODS)
def test_methods_have_the_paths_of_the_wire(module: str) -> None:
    """A generated client calls exactly the paths that the kubelet knows."""
    called: list[str] = []

    class Recorder(grpc.Channel):
        """A channel that notes the paths it is asked for."""

        def _note(self, method: str, *_: object, **__: object) -> None:
            called.append(method)

        unary_unary = unary_stream = stream_unary = stream_stream = _note
        subscribe = unsubscribe = close = _note

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    stubs = importlib.import_module(f"{module}_pb2_grpc")
    (stub,) = [value for name, value in vars(stubs).items() if name.endswith("Stub")]
    stub(Recorder())

    assert METHODS[module] == called

"""The DeviceClasses that the chart installs, for those who have no others at hand."""

from collections.abc import Mapping


def _class(name: str, expression: str) -> Mapping[str, object]:
    return {"metadata": {"name": name}, "spec": {"selectors": [{"cel": {"expression": expression}}]}}


CLASSES: tuple[Mapping[str, object], ...] = (
    _class("gpu.amd.com", "device.driver == 'gpu.amd.com'"),
    _class(
        "whole.gpu.amd.com",
        "device.driver == 'gpu.amd.com' && device.attributes['gpu.amd.com'].type == 'amdgpu'",
    ),
)
"""As v1 JSON; a test of the chart holds them against it."""

"""The health of devices, as the kubelet shows it in the status of pods.

Knows what presence and readability say of a device. Refuses to know when somebody looks, who is told, and what wears
out in a GPU.
"""

from amdgpu_dra.core.health.judge import LONGEST, doubt, judge, withdraw
from amdgpu_dra.core.health.report import DeviceHealth, Health, Report

__all__ = ["LONGEST", "DeviceHealth", "Health", "Report", "doubt", "judge", "withdraw"]

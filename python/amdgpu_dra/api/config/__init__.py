"""The opaque configuration that users put into claims and classes: `gpu.resource.amd.com/v1alpha1`.

Decoding is strict and tells every wrong field with its path.
"""

from amdgpu_dra.api.config.decode import FieldError, RepeatedKeys, decode_config
from amdgpu_dra.api.config.kinds import API_VERSION, KINDS, Kind
from amdgpu_dra.api.config.schema import render_reference, render_schema

__all__ = [
    "API_VERSION",
    "KINDS",
    "FieldError",
    "Kind",
    "RepeatedKeys",
    "decode_config",
    "render_reference",
    "render_schema",
]

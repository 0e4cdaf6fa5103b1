"""Flags in Go's style, as AMD's GPU Operator passes them: `-key=value`, `--key=value`, `--key value`.

A switch alone means true. Every flag is read from the environment too; the command line wins.
"""

from amdgpu_dra.apps.flags.flag import (
    KUBECONFIG,
    LOGGING_FORMAT,
    Flag,
    read_absolute,
    read_bool,
    read_int,
    read_seconds,
)
from amdgpu_dra.apps.flags.parse import Program, given_inert, parse, render_reference
from amdgpu_dra.apps.flags.version import VERSION_ENV, version_of

__all__ = [
    "KUBECONFIG",
    "LOGGING_FORMAT",
    "VERSION_ENV",
    "Flag",
    "Program",
    "given_inert",
    "parse",
    "read_absolute",
    "read_bool",
    "read_int",
    "read_seconds",
    "render_reference",
    "version_of",
]

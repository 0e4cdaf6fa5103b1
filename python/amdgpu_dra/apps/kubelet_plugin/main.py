"""From flags to a running process, and from errors to one line and a status."""

import asyncio
import logging
import os
import sys
from collections.abc import Sequence

from amdgpu_dra.api.errors import DriverError, UsageError
from amdgpu_dra.apps.flags import version_of
from amdgpu_dra.apps.kubelet_plugin.flags import Options, inert_flags, parse_flags
from amdgpu_dra.edge.telemetry import set_up_logging

_LOG = logging.getLogger("plugin")
VERSION = version_of(os.environ)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 after a stop by signal; 2 if a flag or path is wrong; 1 if the node refuses."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    status = 0
    try:
        options = parse_flags(given, os.environ, VERSION)
        set_up_logging(options.logging_format, options.v)
        _LOG.info("version %s", VERSION)
        for name in inert_flags(given, os.environ):
            _LOG.info("--%s is taken and not used", name)
        asyncio.run(_run(options))
    except* DriverError as group:
        error = _first(group)
        print(f"gpu-kubeletplugin: {error}", file=sys.stderr)
        status = 2 if isinstance(error, UsageError) else 1
    return status


def _first(group: BaseExceptionGroup[DriverError]) -> BaseException:
    """The first error of a group, however deep."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


async def _run(options: Options) -> None:
    # Here, and not above: --help and a wrong flag need none of it.
    from amdgpu_dra.apps.kubelet_plugin.run import Runner  # noqa: PLC0415
    from amdgpu_dra.apps.kubelet_plugin.wiring import wire  # noqa: PLC0415

    if options.allow_fake_device_nodes:
        _LOG.warning("ordinary files are taken for device nodes below %s: for trying out only", options.dev_root)
    await Runner(wire(options), options).run()

"""From flags to a running webhook, and from errors to one line and a status."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

from amdgpu_dra.api.errors import DriverError, UsageError
from amdgpu_dra.apps.flags import version_of
from amdgpu_dra.apps.webhook.flags import CertificateOptions, ServeOptions, parse_flags
from amdgpu_dra.core.admission import answer, find_defect
from amdgpu_dra.edge.telemetry import set_up_logging

_LOG = logging.getLogger("webhook")
VERSION = version_of(os.environ)


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when done or after a stop by signal; 2 if a flag or file is wrong; 1 if the machine or the cluster refuses."""
    try:
        options = parse_flags(sys.argv[1:] if arguments is None else arguments, os.environ, VERSION)
        set_up_logging(options.logging_format, options.v)
        if isinstance(options, CertificateOptions):
            _make_certificate(options)
        else:
            asyncio.run(_serve(options))
    except DriverError as error:
        print(f"webhook: {error}", file=sys.stderr)
        return 2 if isinstance(error, UsageError) else 1
    return 0


async def _serve(options: ServeOptions) -> None:
    from amdgpu_dra.edge.admission import AdmissionServer, Certificate  # noqa: PLC0415 - the other mode needs none

    judge: Callable[[bytes], object] = answer
    certificate = Certificate(options.tls_cert_file, options.tls_private_key_file)
    server = AdmissionServer(certificate, judge, find_defect)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    _LOG.info("version %s, serving on port %d", VERSION, await server.start(options.port))
    await stop.wait()
    _LOG.info("stopping")
    await server.stop()


def _make_certificate(options: CertificateOptions) -> None:
    from amdgpu_dra.edge.certificates import Cluster, Target  # noqa: PLC0415 - the client costs a second

    target = Target(
        namespace=options.namespace,
        secret=options.secret,
        service=options.service,
        configuration=options.configuration,
    )
    Cluster(options.kubeconfig).ensure(target)

"""The flags of the webhook, as a table for each of its modes; names are those of AMD's own, where it has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.apps.flags import KUBECONFIG, LOGGING_FORMAT, Flag, Program, parse, read_absolute, read_int

_LOGS = (
    Flag(name="v", env="V", read=read_int, default=0, help="verbosity; from 4 up every review is logged"),
    LOGGING_FORMAT,
)
SERVE = (
    Flag(
        name="tls-cert-file",
        env="TLS_CERT_FILE",
        read=read_absolute,
        default="/certs/tls.crt",
        help="PEM certificate chain; read again when it changes",
    ),
    Flag(
        name="tls-private-key-file",
        env="TLS_PRIVATE_KEY_FILE",
        read=read_absolute,
        default="/certs/tls.key",
        help="PEM key of the certificate",
    ),
    Flag(name="port", env="PORT", read=read_int, default=443, help="TCP port for HTTPS; 0: any"),
    *_LOGS,
)
CERTIFICATE = (
    Flag(name="secret", env="SECRET", read=str, default="", help="NAMESPACE/NAME of the Secret that keeps it; needed"),
    Flag(
        name="service",
        env="SERVICE",
        read=str,
        default="",
        help="name of the webhook's Service in the Secret's namespace; needed",
    ),
    Flag(
        name="configuration",
        env="CONFIGURATION",
        read=str,
        default="",
        help="ValidatingWebhookConfiguration whose caBundle is set; empty: none, the Secret alone is made",
    ),
    KUBECONFIG,
    *_LOGS,
)
MODE = "certificate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions:
    """What the flags of serving say."""

    tls_cert_file: str
    tls_private_key_file: str
    port: int
    v: int
    logging_format: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateOptions:
    """What the flags of `webhook certificate` say."""

    namespace: str
    secret: str
    service: str
    configuration: str
    kubeconfig: str
    v: int
    logging_format: str


def parse_flags(
    arguments: Sequence[str], environment: Mapping[str, str], version: str
) -> ServeOptions | CertificateOptions:
    """The options of serving, or of `certificate` if that is the first argument.

    Raises:
        UsageError: an unknown flag, or a value that is none.
    """
    if arguments and arguments[0] == MODE:
        return _certificate(arguments[1:], environment, version)
    text = f"Admission webhook for gpu.amd.com. `webhook {MODE}` makes its certificate; see webhook {MODE} --help."
    program = Program(name="webhook", description=text, flags=SERVE, version=version)
    return ServeOptions(**parse(program, arguments, environment))


def _certificate(arguments: Sequence[str], environment: Mapping[str, str], version: str) -> CertificateOptions:
    text = "Makes or renews the certificate of the webhook, and tells the API server its authority."
    program = Program(name=f"webhook {MODE}", description=text, flags=CERTIFICATE, version=version)
    values = parse(program, arguments, environment)
    namespace, _, secret = values.pop("secret").partition("/")
    if not (namespace and secret):
        raise UsageError(
            "flag --secret", expected="NAMESPACE/NAME", found=f"{namespace!r}", action="name the Secret to keep it in"
        )
    if not values["service"]:
        raise UsageError(
            "flag --service",
            expected="the name of the webhook's Service",
            found="nothing",
            action="name it: the certificate is made for NAME.NAMESPACE.svc",
        )
    return CertificateOptions(namespace=namespace, secret=secret, **values)

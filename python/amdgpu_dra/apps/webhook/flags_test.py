"""The webhook's flags, and their reference."""

from pathlib import Path

from amdgpu_dra.apps.flags import render_reference
from amdgpu_dra.apps.webhook.flags import CERTIFICATE, SERVE, CertificateOptions, ServeOptions, parse_flags

HEAD = """\
# Flags of the webhook

Go style: `-key=value`, `--key=value`, `--key value`. The command line wins over the environment.

"""


def test_amds_arguments_are_taken() -> None:
    """What AMD's chart gives to its own webhook."""
    options = parse_flags(
        ["--tls-cert-file=/cert/tls.crt", "--tls-private-key-file=/cert/tls.key", "-port=8443"], {}, "1"
    )

    assert isinstance(options, ServeOptions)
    assert (options.tls_cert_file, options.port) == ("/cert/tls.crt", 8443)


def test_the_first_word_chooses_the_mode() -> None:
    """`webhook certificate` has flags of its own, from the environment too."""
    options = parse_flags(["certificate", "--secret=ns/name"], {"SERVICE": "hook"}, "1")

    assert isinstance(options, CertificateOptions)
    assert (options.namespace, options.secret, options.service) == ("ns", "name", "hook")


def test_the_reference_is_current() -> None:
    """docs/reference/webhook-flags.md is what the tables say."""
    text = f"{HEAD}{render_reference(SERVE)}\n## webhook certificate\n\n{render_reference(CERTIFICATE)}"

    assert Path("docs/reference/webhook-flags.md").read_text() == text

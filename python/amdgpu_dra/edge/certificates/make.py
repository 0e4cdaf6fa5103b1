"""An authority of its own for one server certificate. The authority's key is thrown away: it signs nothing else."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

VALID = timedelta(days=5 * 365)
"""A hook job renews at an install or upgrade of the chart only, so this has to last from one to the next."""
_RENEW_BEFORE = timedelta(days=365)
# Clocks of other machines may be behind.
_SKEW = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """PEM of the authority's certificate, of the server's, and of the server's key."""

    authority: bytes
    certificate: bytes
    key: bytes = b""


def make_pair(names: tuple[str, ...], now: datetime) -> Pair:
    """A new authority, and a server certificate of it for DNS names; the first is its common name."""
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name(f"authority of {names[0]}"[:64])
    root = (
        _builder(root_name, root_name, root_key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    certificate = (
        _builder(_name(names[0][:64]), root_name, key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    return Pair(
        authority=root.public_bytes(serialization.Encoding.PEM),
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def renewal_reason(pair: Pair, names: tuple[str, ...], now: datetime) -> str | None:
    """Why a certificate has to be made anew, or None while it serves."""
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
        authority = x509.load_pem_x509_certificate(pair.authority)
        key = serialization.load_pem_private_key(pair.key, password=None)
        certificate.verify_directly_issued_by(authority)
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, TypeError, x509.ExtensionNotFound) as error:
        return f"it cannot be read ({error})"
    except Exception as error:  # noqa: BLE001 - what a wrong signature raises is not of one family
        return f"its authority has not signed it ({error!r})"
    if key.public_key() != certificate.public_key():
        return "its key is another's"
    missing = set(names) - set(alternative.get_values_for_type(x509.DNSName))
    if missing:
        return f"it is not for {', '.join(sorted(missing))}"
    until = min(certificate.not_valid_after_utc, authority.not_valid_after_utc)
    return f"it expires at {until.isoformat()}" if until - now < _RENEW_BEFORE else None


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + VALID)
    )


def _usage(*, sign: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign,
        crl_sign=sign,
        encipher_only=False,
        decipher_only=False,
    )

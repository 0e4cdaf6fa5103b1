"""Certificates that we make, as OpenSSL and we ourselves judge them."""

import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from amdgpu_dra.edge.certificates import Pair, make_pair, renewal_reason

NAMES = ("hook.amd-gpu.svc", "hook.amd-gpu.svc.cluster.local")
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture(name="pair", scope="module")
def _pair() -> Pair:
    return make_pair(NAMES, NOW)


def test_a_new_one_serves(pair: Pair, tmp_path: Path) -> None:
    """OpenSSL takes chain, key and authority; nothing has to be renewed."""
    (tmp_path / "crt").write_bytes(pair.certificate)
    (tmp_path / "key").write_bytes(pair.key)
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "crt", tmp_path / "key")
    ssl.create_default_context(cadata=pair.authority.decode())

    assert renewal_reason(pair, NAMES, NOW) is None


def test_a_long_name_is_no_obstacle() -> None:
    """A common name has 64 characters at most; what counts is the alternative name."""
    long = ("x" * 60 + ".some-namespace.svc",)

    assert renewal_reason(make_pair(long, NOW), long, NOW) is None


@pytest.mark.parametrize(
    ("days", "reason"), [(4 * 365 + 5, "it expires at"), (6 * 365, "it expires at"), (3 * 365, None)]
)
def test_it_is_renewed_a_year_before_its_end(pair: Pair, days: int, reason: str | None) -> None:
    """And of course after it."""
    found = renewal_reason(pair, NAMES, NOW + timedelta(days=days))

    assert (found is None) if reason is None else (found or "").startswith(reason)


def test_what_does_not_fit_is_renewed(pair: Pair) -> None:
    """Another name, another key, another authority, or no certificate at all."""
    other = make_pair(NAMES, NOW)

    assert renewal_reason(pair, ("new.amd-gpu.svc",), NOW) == "it is not for new.amd-gpu.svc"
    assert renewal_reason(replace(pair, key=other.key), NAMES, NOW) == "its key is another's"
    assert "not signed it" in (renewal_reason(replace(pair, authority=other.authority), NAMES, NOW) or "")
    assert "cannot be read" in (renewal_reason(replace(pair, certificate=b"x"), NAMES, NOW) or "")
    assert "cannot be read" in (renewal_reason(replace(pair, key=b""), NAMES, NOW) or "")

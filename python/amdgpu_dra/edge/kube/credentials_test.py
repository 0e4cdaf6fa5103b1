"""Credentials: kept up with the files and programs behind them."""

import asyncio
import json
import os
import ssl
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.errors import NotReadyError
from amdgpu_dra.edge.kube.access import Access, ExecPlugin
from amdgpu_dra.edge.kube.credentials import Credentials, Shown, make_context
from amdgpu_dra.edge.kube.execute import decode_given, execute

PEMS = Path(__file__).parent / "testdata"
V1 = "client.authentication.k8s.io/v1"


def get(credentials: Credentials) -> Shown:
    """What a request would show."""
    return asyncio.run(credentials.get())


def test_a_token_is_read_anew(tmp_path: Path) -> None:
    """After a minute, or at once when the server has refused the old one; not with every request."""
    token = tmp_path / "token"
    token.write_text("one\n")
    credentials = Credentials(Access(where="w", server="http://h", token_file=str(token)))
    assert get(credentials).authorization == "Bearer one"

    token.write_text("two\n")
    assert get(credentials).authorization == "Bearer one"
    credentials._looked -= 60
    assert get(credentials).authorization == "Bearer two"
    token.write_text("three")
    credentials.doubt()
    assert get(credentials).authorization == "Bearer three"


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text(""), lambda path: path.write_text("a\nb")])
def test_the_old_token_stays_while_there_is_no_new_one(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spoil: Any
) -> None:
    """A file that is gone, empty or nonsense is told, and stops nothing."""
    token = tmp_path / "token"
    token.write_text("one")
    credentials = Credentials(Access(where="w", server="http://h", token_file=str(token)))
    get(credentials)
    spoil(token)
    credentials.doubt()

    assert get(credentials).authorization == "Bearer one"
    assert "stay in use" in caplog.text


def test_a_file_that_never_could_be_read(tmp_path: Path) -> None:
    """Is an error, each time: there is nothing to go on with."""
    credentials = Credentials(Access(where="w", server="http://h", token_file=str(tmp_path / "absent")))
    for _ in range(2):
        with pytest.raises(OSError, match="absent"):
            get(credentials)


def test_a_context_lasts_until_its_files_change(tmp_path: Path) -> None:
    """Connections are kept by it; a renewed CA makes a new one, and what is no CA leaves the old."""
    ca = tmp_path / "ca"
    ca.write_bytes((PEMS / "authority.pem").read_bytes())
    credentials = Credentials(Access(where="w", server="https://h", ca=str(ca)))
    first = get(credentials).context
    credentials.doubt()
    assert get(credentials).context is first

    fresh = tmp_path / "fresh"
    fresh.write_bytes((PEMS / "other.pem").read_bytes())
    os.replace(fresh, ca)
    credentials.doubt()
    second = get(credentials).context
    assert second is not None
    assert second is not first
    assert second.get_ca_certs()[0]["subject"] == ((("commonName", "another"),),)
    ca.write_text("no PEM at all")
    credentials.doubt()
    assert get(credentials).context is second


def test_a_key_that_was_no_file_lies_on_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data works with no folder to write to, and what is no key is refused."""
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    pem = (PEMS / "client.pem").read_bytes()

    make_context((PEMS / "authority.pem").read_bytes(), pem, pem, insecure=False)
    with pytest.raises(ssl.SSLError):
        make_context(None, pem, b"no key", insecure=False)


def _plugin(tmp_path: Path, code: str, **more: Any) -> ExecPlugin:
    program = tmp_path / "login.py"
    program.write_text(code)
    return ExecPlugin(
        api_version=V1, command=sys.executable, arguments=("-I", str(program)), environment={"GIVEN": "x"}, **more
    )


def _printing(count: Path, status: dict[str, Any]) -> str:
    text = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status})
    return f"open({str(count)!r}, 'a').write('.')\nprint({text!r})\n"


def test_a_program_is_asked_once_for_as_long_as_its_credentials_last(tmp_path: Path) -> None:
    """Eight requests at once run it once; it runs again when they end, or when the server refuses them."""
    count = tmp_path / "count"

    async def ask(ends: str, rounds: int) -> int:
        count.write_text("")
        code = _printing(count, {"token": "t", "expirationTimestamp": ends})
        credentials = Credentials(Access(where="w", server="http://h", exec=_plugin(tmp_path, code)))
        for _ in range(rounds):
            shown = await asyncio.gather(*(credentials.get() for _ in range(8)))
            assert {item.authorization for item in shown} == {"Bearer t"}
            credentials.doubt()
        return len(count.read_text())

    assert asyncio.run(ask("2100-01-01T00:00:00Z", 2)) == 2
    assert asyncio.run(ask("2001-01-01T00:00:00Z", 1)) == 8


def test_a_program_may_give_a_certificate(tmp_path: Path) -> None:
    """Then TLS shows it."""
    pem = (PEMS / "client.pem").read_text()
    code = _printing(tmp_path / "count", {"clientCertificateData": pem, "clientKeyData": pem})
    credentials = Credentials(Access(where="w", server="https://h", exec=_plugin(tmp_path, code)))

    assert get(credentials).context is not None


def test_what_a_program_is_told(tmp_path: Path) -> None:
    """The variables of the kubeconfig, and the cluster as kubectl tells it."""
    code = (
        "import json, os; told = json.loads(os.environ['KUBERNETES_EXEC_INFO']);"
        "token = os.environ['GIVEN'] + told['spec']['cluster']['server'] + str(told['spec']['interactive']);"
        "print(json.dumps(told | {'status': {'token': token}}))"
    )
    plugin = _plugin(tmp_path, code, cluster={"server": "https://h"})

    assert asyncio.run(execute(plugin, "w")).token == "xhttps://hFalse"  # noqa: S105


def test_secrets_are_not_shown() -> None:
    """Not even where the value itself is logged."""
    output = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": {"token": "sesame"}}).encode()

    assert "sesame" not in repr(decode_given(output, V1))


@pytest.mark.parametrize(
    ("code", "match"),
    [
        ("import sys; sys.exit('not logged in')", "status 1: not logged in"),
        ("print('{}')", "no ExecCredential of client.authentication"),
        ("", "is no JSON"),
    ],
)
def test_a_program_that_gives_nothing(tmp_path: Path, code: str, match: str) -> None:
    """The request can be tried again; the message has what the program said and where to get it."""
    with pytest.raises(NotReadyError, match=match) as caught:
        asyncio.run(execute(_plugin(tmp_path, code, install_hint="see example"), "kubeconfig f"))
    assert "see example" in str(caught.value)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    """Is named."""
    plugin = ExecPlugin(api_version=V1, command=str(tmp_path / "absent"), environment={})
    with pytest.raises(NotReadyError, match="absent"):
        asyncio.run(execute(plugin, "w"))


_VALUES = st.none() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=3), max_size=2)


@given(
    st.dictionaries(
        st.sampled_from(["token", "clientCertificateData", "clientKeyData", "expirationTimestamp"]), _VALUES
    )
    | _VALUES
)
def test_whatever_a_program_prints(status: Any) -> None:
    """It is credentials that can be sent, or a ValueError that does not repeat them."""
    output = json.dumps({"apiVersion": V1, "kind": "ExecCredential", "status": status}).encode()
    try:
        found = decode_given(output, V1)
    except ValueError:
        return
    assert found.token or (found.certificate and found.key)
    found.token.encode("ascii")

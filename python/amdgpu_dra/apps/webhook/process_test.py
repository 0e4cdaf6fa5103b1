"""The webhook as a process: HTTPS, certificates that change, and clients that mean no good."""

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from amdgpu_dra.api.config import API_VERSION
from amdgpu_dra.edge.admission import PATH, Limits
from amdgpu_dra.edge.certificates import Pair, make_pair

NAME = "hook.amd-gpu.svc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """A webhook that runs: its port, its log, and the folder of its certificate."""

    process: subprocess.Popen[str]
    port: int
    folder: Path

    def context(self, authority: bytes | None = None) -> ssl.SSLContext:
        """Trusts `authority`, or that of the folder."""
        context = ssl.create_default_context(cadata=(authority or (self.folder / "ca.crt").read_bytes()).decode())
        context.check_hostname = False
        return context

    def ask(self, body: bytes, **headers: str) -> tuple[int, bytes]:
        """Status and body of an answer to a review."""
        with closing(http.client.HTTPSConnection("localhost", self.port, context=self.context(), timeout=30)) as client:
            client.request("POST", PATH, body, {"Content-Type": "application/json", **headers})
            with client.getresponse() as response:
                return response.status, response.read()

    def ready(self, context: ssl.SSLContext | None = None) -> tuple[int, str]:
        """What a kubelet's probe sees."""
        context = context or self.context()
        with closing(http.client.HTTPSConnection("localhost", self.port, context=context, timeout=30)) as client:
            client.request("GET", "/readyz")
            with client.getresponse() as response:
                return response.status, response.read().decode()

    def read_line(self, wanted: str) -> str:
        """The next line of the log that holds a text."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if wanted in line:
                return line
        raise AssertionError(f"the webhook ended before it said {wanted!r}")


def _write(folder: Path, pair: Pair) -> None:
    for name, data in (("ca.crt", pair.authority), ("tls.key", pair.key), ("tls.crt", pair.certificate)):
        (folder / f"{name}.new").write_bytes(data)
        (folder / f"{name}.new").rename(folder / name)


@contextmanager
def _running(folder: Path, pair: Pair) -> Iterator[Hook]:
    _write(folder, pair)
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "amdgpu_dra.apps.webhook",
            "-port=0",
            f"--tls-cert-file={folder}/tls.crt",
            f"--tls-private-key-file={folder}/tls.key",
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "serving on port" in line, line + process.stderr.read()
        yield Hook(process=process, port=int(line.split()[-1]), folder=folder)
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(name="hook", scope="module")
def _hook(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hook]:
    with _running(tmp_path_factory.mktemp("certs"), make_pair((NAME,), datetime.now(UTC))) as hook:
        yield hook


def _review(parameters: object) -> bytes:
    raw = {"spec": {"devices": {"config": [{"opaque": {"driver": "gpu.amd.com", "parameters": parameters}}]}}}
    named = {"group": "resource.k8s.io", "version": "v1", "resource": "resourceclaims"}
    request = {"uid": "u", "operation": "CREATE", "resource": named, "object": raw}
    return json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}).encode()


GOOD = _review({"apiVersion": API_VERSION, "kind": "GpuConfig"})


def _response(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body)["response"]
    return found


def test_it_answers_reviews(hook: Hook) -> None:
    """What is right is allowed, what is wrong is refused with its path, over TLS."""
    status, body = hook.ask(GOOD)
    assert (status, _response(body)) == (200, {"uid": "u", "allowed": True})

    status, body = hook.ask(_review({"kind": "x"}))
    assert status == 200
    assert not _response(body)["allowed"]
    assert "spec.devices.config[0].opaque.parameters.kind" in _response(body)["status"]["message"]


def test_it_is_ready(hook: Hook) -> None:
    """Its own answers to known reviews are right, and its certificate is valid."""
    assert hook.ready() == (200, "ok\n")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        pytest.param(b"x" * (Limits().body + 1), {}, 413, id="huge"),
        pytest.param(b"[" * 1_000_000, {}, 400, id="deep"),
        pytest.param(b"\xff\xfe{}", {}, 400, id="wrong-encoding"),
        pytest.param(GOOD, {"Content-Type": "text/plain"}, 415, id="wrong-type"),
        pytest.param(b"", {}, 400, id="empty"),
        pytest.param(GOOD, {"Content-Encoding": "gzip"}, 415, id="packed"),
        pytest.param(b"", {"Content-Length": "-1"}, 400, id="negative-length"),
        pytest.param(GOOD, {"X-Long": "y" * 100_000}, 400, id="long-header"),
    ],
)
def test_hostile_requests_are_refused(hook: Hook, body: bytes, headers: dict[str, str], status: int) -> None:
    """Each with its status, and the next request is answered."""
    try:
        assert hook.ask(body, **headers)[0] == status
    except (BrokenPipeError, ConnectionResetError, http.client.RemoteDisconnected, ssl.SSLEOFError):
        # The server need not read to the end what it will not take.
        assert status in {400, 413}
    assert hook.ask(GOOD)[0] == 200


def test_those_who_say_nothing_hold_up_nobody(hook: Hook) -> None:
    """Clients that connect and send no TLS, half a head or half a body; others are answered meanwhile."""
    quiet = [socket.create_connection(("localhost", hook.port)) for _ in range(50)]
    context = hook.context()
    slow = [context.wrap_socket(socket.create_connection(("localhost", hook.port))) for _ in range(20)]
    for place, connection in enumerate(slow):
        head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n"
        connection.sendall(head.encode() + (b"\r\n{" if place % 2 else b""))

    assert hook.ask(GOOD)[0] == 200
    for each in (*quiet, *slow):
        each.close()


def test_what_is_no_tls_is_closed(hook: Hook) -> None:
    """Plain HTTP gets no answer, and nothing breaks."""
    with socket.create_connection(("localhost", hook.port)) as connection:
        connection.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
        assert not connection.recv(100).startswith(b"HTTP/1.1 200")
    assert hook.ask(GOOD)[0] == 200


def test_old_tls_is_refused(hook: Hook) -> None:
    """TLS 1.2 is the oldest that is spoken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("localhost", hook.port)) as connection, pytest.raises((ssl.SSLError, OSError)):
        context.wrap_socket(connection)


def test_a_new_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    """First one that does not fit its key, which changes nothing; then a good one, to new connections."""
    old = make_pair((NAME,), datetime.now(UTC))
    with _running(tmp_path, old) as hook:
        new = make_pair((NAME,), datetime.now(UTC))
        (tmp_path / "tls.crt").write_bytes(new.certificate)
        assert "is served on" in hook.read_line("certificate")
        assert hook.ready(hook.context(old.authority)) == (200, "ok\n")

        _write(tmp_path, new)
        hook.read_line("read anew")
        assert hook.ready() == (200, "ok\n")


def test_an_expired_certificate_is_not_ready(tmp_path: Path) -> None:
    """The probe says what to do, before users' claims are refused for it."""
    expired = make_pair((NAME,), datetime.now(UTC) - timedelta(days=3000))
    with _running(tmp_path, expired) as hook:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        status, text = hook.ready(context)

        assert status == 503
        assert "has expired at" in text


def test_a_signal_ends_it(tmp_path: Path) -> None:
    """With status 0, while a client keeps its connection."""
    with (
        _running(tmp_path, make_pair((NAME,), datetime.now(UTC))) as hook,
        closing(http.client.HTTPSConnection("localhost", hook.port, context=hook.context())) as client,
    ):
        client.request("GET", "/readyz")
        client.getresponse().read()
        hook.process.send_signal(signal.SIGTERM)

        assert hook.process.wait(30) == 0


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["--tls-cert-file=/nowhere/tls.crt"], 2, "certificate /nowhere/tls.crt"),
        (["--prt=1"], 2, "did you mean --port?"),
        (["certificate"], 2, "flag --secret: expected NAMESPACE/NAME"),
        (["certificate", "--secret=a/b"], 2, "flag --service: expected the name of the webhook's Service"),
        (["certificate", "--secret=a/b", "--service=c", "--kubeconfig=/nowhere"], 2, "kubeconfig /nowhere"),
    ],
    ids=["no-certificate", "misspelt", "no-secret", "no-service", "no-kubeconfig"],
)
def test_what_cannot_be_is_told_in_a_line(arguments: list[str], status: int, message: str) -> None:
    """Where, what was expected, what was found, what to do."""
    done = subprocess.run(
        [sys.executable, "-m", "amdgpu_dra.apps.webhook", *arguments],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == status
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1

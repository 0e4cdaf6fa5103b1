"""`Access`: where the API server is, and by what a client shows who it is."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from amdgpu_dra.api.errors import UsageError

_POD_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"

type Pem = str | bytes
"""The path of a PEM file, which is read anew when it changes; or the PEM itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecPlugin:
    """A program that prints credentials (client.authentication.k8s.io)."""

    api_version: str
    command: str
    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str]
    install_hint: str = ""
    # What the program is told of the cluster, if it asks for that.
    cluster: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a connection needs to know.

    Attributes:
        where: what was read, for errors.
        server: `https://host:port` and perhaps a path, with no slash at its end.
        ca: who may sign the server's certificate; None: whom this machine trusts.
        certificate: the client's; with it goes `key`.
        authorization: the header, if it never changes.
        token_file: the path of a token, which is read anew as it is rotated.
        exec: a program to ask, in place of these.
        tls_server_name: the name in the server's certificate, if it is not that of `server`.
        insecure: takes any certificate of the server.
        proxy: URL of an HTTP proxy, or empty.
    """

    where: str
    server: str
    ca: Pem | None = None
    certificate: Pem | None = None
    key: Pem | None = None
    authorization: str = ""
    token_file: str = ""
    exec: ExecPlugin | None = None
    tls_server_name: str = ""
    insecure: bool = False
    proxy: str = ""

    @property
    def files(self) -> tuple[str, ...]:
        """The files whose change asks for a new TLS context."""
        return tuple(pem for pem in (self.ca, self.certificate, self.key) if isinstance(pem, str))


def pod_access(environment: Mapping[str, str], folder: str = _POD_FOLDER) -> Access:
    """Access from within a pod, by its service account. No proxy: a Service's address is the cluster's own.

    Raises:
        UsageError: this is no pod, or it has no service account.
    """
    host, port = environment.get("KUBERNETES_SERVICE_HOST"), environment.get("KUBERNETES_SERVICE_PORT")
    token, ca = f"{folder}/token", f"{folder}/ca.crt"
    found = "" if host and port else "no KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT"
    found = found or next((f"no file {path}" for path in (token, ca) if not os.path.isfile(path)), "")
    if found:
        raise UsageError(
            "credentials of the pod",
            expected="a pod with a service account",
            found=found,
            action="name a kubeconfig by --kubeconfig, or run in a pod with automountServiceAccountToken",
        )
    host = f"[{host}]" if ":" in str(host) else host
    return Access(where="credentials of the pod", server=f"https://{host}:{port}", ca=ca, token_file=token)

"""Kubeconfig files → `Access`, as client-go reads them. What it cannot honour it refuses, by name."""

import base64
import binascii
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.edge.kube.access import Access, ExecPlugin, Pem
from amdgpu_dra.edge.kube.proxy import find_proxy

_KINDS = {"clusters": "cluster", "users": "user", "contexts": "context"}
_EXEC_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
# They would change who asks; a client that passed over them would ask as somebody else.
_REFUSED = ("auth-provider", "as", "as-uid", "as-groups", "as-user-extra")


def read_kubeconfig(paths: str, environment: Mapping[str, str]) -> Access:
    """Access by a kubeconfig, or by several joined with colons: of each name the first counts.

    Args:
        paths: as in the variable KUBECONFIG. Files that are not there are passed over.
        environment: for proxies.

    Raises:
        UsageError: none is there, one cannot be read, or what they say cannot be used.
    """
    files = [paths] if os.path.isfile(paths) else [path for path in paths.split(os.pathsep) if os.path.isfile(path)]
    if not files:
        raise _wrong(paths, "a kubeconfig file", "no such file")
    return build_access([(path, _read(path)) for path in files], environment)


def _read(path: str) -> object:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        return _parse(text)
    except (OSError, ValueError) as error:
        raise _wrong(path, "YAML or JSON that can be read", str(error)) from error


def _parse(text: str) -> object:
    """JSON needs no YAML reader, which costs memory. Raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(str(error)) from error
    except ValueError:
        import yaml  # noqa: PLC0415

        try:
            return yaml.safe_load(text)
        except (yaml.YAMLError, RecursionError) as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _Part:
    """A mapping of a kubeconfig with the file that it stands in."""

    path: str
    name: str
    raw: Mapping[str, Any]

    @property
    def where(self) -> str:
        return f"{self.path}: {self.name}"

    def text(self, field: str) -> str:
        """A text, or empty."""
        value = self.raw.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise _wrong(f"{self.where}.{field}", "a text", repr(type(value).__name__))
        return value

    def flag(self, field: str) -> bool:
        """Yes or no."""
        value = self.raw.get(field) or False
        if not isinstance(value, bool):
            raise _wrong(f"{self.where}.{field}", "true or false", repr(value))
        return value

    def file(self, field: str) -> str:
        """A path, which is relative to the file that it stands in; or empty."""
        found = self.text(field)
        return os.path.join(os.path.dirname(os.path.abspath(self.path)), found) if found else ""

    def pem(self, field: str) -> Pem | None:
        """`<field>-data`, else the file that `<field>` names."""
        data = self.text(f"{field}-data")
        if not data:
            return self.file(field) or None
        try:
            return base64.b64decode(data, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _wrong(f"{self.where}.{field}-data", "base64", str(error)) from error


def build_access(files: Sequence[tuple[str, object]], environment: Mapping[str, str]) -> Access:
    """Access by kubeconfigs that were parsed already: path and content of each. Raises UsageError."""
    where = os.pathsep.join(path for path, _ in files)
    name = ""
    for path, raw in files:
        if not isinstance(raw, Mapping):
            raise _wrong(path, "a kubeconfig", f"a {type(raw).__name__}")
        name = name or _Part(path, "kubeconfig", raw).text("current-context")
    if not name:
        raise _wrong(where, "a current-context", "none")
    context = _find(files, "contexts", name)
    cluster = _find(files, "clusters", context.text("cluster"))
    user = _find(files, "users", context.text("user")) if context.text("user") else _Part(where, "no user", {})
    server, insecure, ca = (
        _server(cluster),
        cluster.flag("insecure-skip-tls-verify"),
        cluster.pem("certificate-authority"),
    )
    if insecure and ca is not None:
        raise _wrong(cluster.where, "certificate-authority or insecure-skip-tls-verify", "both")
    proxy = cluster.text("proxy-url")
    if proxy and urlsplit(proxy).scheme not in {"http", "https"}:
        raise _wrong(f"{cluster.where}.proxy-url", "an http or https URL", repr(proxy))
    certificate, key = user.pem("client-certificate"), user.pem("client-key")
    if (certificate is None) != (key is None):
        raise _wrong(user.where, "client-certificate and client-key", "only one of them")
    return Access(
        where=f"kubeconfig {where}",
        server=server,
        ca=ca,
        certificate=certificate,
        key=key,
        authorization=_authorization(user),
        token_file=user.file("tokenFile"),
        exec=_exec(user, cluster),
        tls_server_name=cluster.text("tls-server-name"),
        insecure=insecure,
        proxy=proxy or find_proxy(server, environment),
    )


def _find(files: Sequence[tuple[str, object]], kind: str, name: str) -> _Part:
    """The first entry of that name, over all files."""
    for path, raw in files:
        entries = raw.get(kind) if isinstance(raw, Mapping) else None
        for entry in entries if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and entry.get("name") == name:
                found = entry.get(_KINDS[kind])
                return _Part(path, f"{kind}[{name}]", found if isinstance(found, Mapping) else {})
    raise _wrong(os.pathsep.join(path for path, _ in files), f"{kind} with {name!r}", "none of that name")


def _server(cluster: _Part) -> str:
    server = cluster.text("server").rstrip("/")
    server = server if "://" in server else f"http://{server}"
    try:
        parts = urlsplit(server)
        known = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known:
        raise _wrong(f"{cluster.where}.server", "an http or https URL", repr(cluster.text("server")))
    return server


def _authorization(user: _Part) -> str:
    for field in _REFUSED:
        if user.raw.get(field):
            raise _wrong(f"{user.where}.{field}", "a token, a certificate or exec", f"{field}, which is not supported")
    if token := user.text("token"):
        if not token.isascii() or not token.isprintable():
            raise _wrong(f"{user.where}.token", "printable ASCII", "something else")
        return f"Bearer {token}"
    if user.text("username"):
        pair = f"{user.text('username')}:{user.text('password')}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return ""


def _exec(user: _Part, cluster: _Part) -> ExecPlugin | None:
    raw = user.raw.get("exec")
    if raw is None:
        return None
    part = _Part(user.path, f"{user.name}.exec", raw if isinstance(raw, Mapping) else {})
    version, command = part.text("apiVersion"), part.text("command")
    if version not in _EXEC_VERSIONS:
        raise _wrong(f"{part.where}.apiVersion", " or ".join(_EXEC_VERSIONS), repr(version))
    if not command:
        raise _wrong(f"{part.where}.command", "a program", "none")
    if part.text("interactiveMode") == "Always":
        raise _wrong(f"{part.where}.interactiveMode", "Never or IfAvailable", "Always, and nobody is there to answer")
    arguments, pairs = part.raw.get("args") or [], part.raw.get("env") or []
    try:
        return ExecPlugin(
            api_version=version,
            # A bare name is searched on PATH; anything else is relative to the file.
            command=part.file("command") if "/" in command else command,
            arguments=tuple(map(str, arguments)),
            environment={str(pair["name"]): str(pair["value"]) for pair in pairs},
            install_hint=part.text("installHint"),
            cluster=_told(cluster) if part.flag("provideClusterInfo") else None,
        )
    except (TypeError, KeyError) as error:
        raise _wrong(part.where, "args as texts, env as names and values", repr(error)) from error


def _told(cluster: _Part) -> dict[str, object]:
    """What an exec plugin is told of the cluster."""
    ca = cluster.pem("certificate-authority")
    if isinstance(ca, str):
        try:
            with open(ca, "rb") as file:
                ca = file.read()
        except OSError as error:
            raise _wrong(f"{cluster.where}.certificate-authority", "a file that can be read", str(error)) from error
    found = {
        name: cluster.raw.get(name) for name in ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url")
    }
    if ca is not None:
        found["certificate-authority-data"] = base64.b64encode(ca).decode()
    return {name: value for name, value in found.items() if value}


def _wrong(where: str, expected: str, found: str) -> UsageError:
    action = "mend that file, or name another one by --kubeconfig"
    return UsageError(f"kubeconfig {where}", expected=expected, found=found, action=action)

"""Kubeconfigs: read as client-go reads them, and refused by name where they cannot be honoured."""

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config_from_dict

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.edge.kube.access import Access, ExecPlugin, pod_access
from amdgpu_dra.edge.kube.kubeconfig import build_access, read_kubeconfig

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
_EXEC = st.fixed_dictionaries(
    {},
    optional={
        "apiVersion": st.sampled_from(["client.authentication.k8s.io/v1", "v1"]) | _JSON,
        "command": _JSON,
        "args": _JSON,
        "env": _JSON,
        "provideClusterInfo": _JSON,
        "interactiveMode": _JSON,
    },
)
_CLUSTER_FIELDS = (
    "server",
    "certificate-authority",
    "certificate-authority-data",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "proxy-url",
)
_USER_FIELDS = (
    "token",
    "tokenFile",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "username",
    "as",
    "auth-provider",
)
_URLS = st.sampled_from(["https://h:1", "http://[::1]:2/x/", "h", "https://h:x", "ftp://h", "https://"])


def _mapping(fields: tuple[str, ...]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(st.sampled_from(fields), _JSON | _URLS, max_size=4)


def config(cluster: Any, user: Any = None, **more: Any) -> dict[str, Any]:
    """A kubeconfig with one of each."""
    return {
        "current-context": "x",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user or {}}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        **more,
    }


def access_of(cluster: Any, user: Any = None, environment: dict[str, str] | None = None) -> Access:
    """What such a file at `/etc/k/config` gives."""
    return build_access([("/etc/k/config", config(cluster, user))], environment or {})


@given(
    _JSON
    | st.builds(
        config,
        _JSON | _mapping(_CLUSTER_FIELDS),
        _JSON | _mapping(_USER_FIELDS) | _EXEC.map(lambda raw: {"exec": raw}),
    )
)
def test_whatever_it_says_it_is_access_or_a_usage_error(raw: Any) -> None:
    """No content makes anything else of it."""
    try:
        found = build_access([("f", raw)], {})
    except UsageError:
        return
    assert found.server.startswith(("http://", "https://"))


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_whatever_bytes_it_is_a_usage_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """No bytes that are no kubeconfig make anything else."""
    path = tmp_path_factory.mktemp("k") / "config"
    path.write_bytes(data)
    with pytest.raises(UsageError):
        read_kubeconfig(str(path), {})


_B64 = st.binary(min_size=1, max_size=9).map(lambda data: base64.b64encode(data).decode())
_FILES = [__file__, os.__file__]
_NAMES = st.sampled_from(_FILES)


@given(
    st.fixed_dictionaries(
        {"server": st.sampled_from(["https://h:1", "https://h/prefix", "https://[::1]:2"])},
        optional={
            "certificate-authority": _NAMES,
            "certificate-authority-data": _B64,
            "insecure-skip-tls-verify": st.just(value=False),
            "tls-server-name": st.sampled_from(["", "n"]),
        },
    ),
    st.fixed_dictionaries(
        {},
        optional={"token": st.sampled_from(["t", "u"]), "client-certificate-data": _B64, "client-certificate": _NAMES},
    ),
)
def test_the_official_client_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, cluster: dict[str, Any], user: dict[str, Any]
) -> None:
    """Server, authorities, certificate, key, token and name, whichever of them stand there."""
    if any(field.startswith("client") for field in user):
        user["client-key-data"] = "S0VZ"
    theirs = Configuration()
    raw, scratch = config(cluster, user), str(tmp_path_factory.mktemp("k"))
    loading = load_kube_config_from_dict(raw, client_configuration=theirs, temp_file_path=scratch)
    asyncio.run(loading)
    ours = build_access([("/f", raw)], {})

    def content(pem: Any) -> Any:
        """Theirs writes data to files, ours keeps it."""
        return pem if pem is None or pem in _FILES else Path(pem).read_bytes()

    assert ours.server == theirs.host
    assert (ours.ca, ours.certificate, ours.key) == tuple(
        content(pem) for pem in (theirs.ssl_ca_cert, theirs.cert_file, theirs.key_file)
    )
    assert (ours.authorization or None) == theirs.api_key.get("BearerToken")
    assert (ours.tls_server_name or None) == (theirs.tls_server_name or None)
    assert ours.insecure == (not theirs.verify_ssl)


@given(st.text(min_size=1), st.text())
def test_basic_carries_any_name_and_password(user: str, password: str) -> None:
    """As UTF-8."""
    found = access_of({"server": "h"}, {"username": user, "password": password})

    assert base64.b64decode(found.authorization.removeprefix("Basic ")) == f"{user}:{password}".encode()


def test_all_that_it_may_say() -> None:
    """Each field ends where it belongs; paths are relative to the file; data wins over a file."""
    found = access_of(
        {
            "server": "https://api:6443/prefix/",
            "certificate-authority": "pki/ca.crt",
            "tls-server-name": "kubernetes",
            "proxy-url": "http://proxy:1",
        },
        {
            "client-certificate": "/abs/client.crt",
            "client-key": "elsewhere",
            "client-key-data": base64.b64encode(b"PEM").decode(),
            "token": "t",
            "tokenFile": "../token",
        },
    )

    assert found == Access(
        where="kubeconfig /etc/k/config",
        server="https://api:6443/prefix",
        ca="/etc/k/pki/ca.crt",
        certificate="/abs/client.crt",
        key=b"PEM",
        authorization="Bearer t",
        token_file="/etc/k/../token",  # noqa: S106
        tls_server_name="kubernetes",
        proxy="http://proxy:1",
    )
    assert found.files == ("/etc/k/pki/ca.crt", "/abs/client.crt")


def test_the_environments_proxy_if_it_names_none() -> None:
    """As Go's programs do."""
    environment = {"HTTPS_PROXY": "http://proxy:1"}

    assert access_of({"server": "https://api"}, environment=environment).proxy == "http://proxy:1"
    assert access_of({"server": "https://api"}, environment=environment | {"NO_PROXY": "api"}).proxy == ""


def test_of_several_files_the_first_says(tmp_path: Path) -> None:
    """Joined with colons; one that is not there is passed over; each entry's paths go by its own file."""
    one, two = tmp_path / "one", tmp_path / "d" / "two"
    two.parent.mkdir()
    one.write_text(json.dumps({"current-context": "x", "users": [{"name": "u", "user": {"tokenFile": "t"}}]}))
    two.write_text(yaml.safe_dump(config({"server": "https://two", "certificate-authority": "ca"}, {"token": "no"})))

    found = read_kubeconfig(os.pathsep.join([str(tmp_path / "absent"), str(one), str(two)]), {})

    assert (found.server, found.ca) == ("https://two", str(tmp_path / "d" / "ca"))
    assert (found.token_file, found.authorization) == (str(tmp_path / "t"), "")


def test_exec_plugin(tmp_path: Path) -> None:
    """Program, arguments and variables; the cluster, if it asks for that."""
    (tmp_path / "ca").write_bytes(b"CA")
    cluster = {"server": "https://h", "certificate-authority": "ca"}
    plugin = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "command": "./login",
        "args": ["--quiet"],
        "env": [{"name": "A", "value": "b"}],
        "installHint": "install it",
        "provideClusterInfo": True,
    }
    found = build_access([(str(tmp_path / "config"), config(cluster, {"exec": plugin}))], {})

    assert found.exec == ExecPlugin(
        api_version="client.authentication.k8s.io/v1",
        command=f"{tmp_path}/./login",
        arguments=("--quiet",),
        environment={"A": "b"},
        install_hint="install it",
        cluster={"server": "https://h", "certificate-authority-data": "Q0E="},
    )


_OK = {"server": "https://h"}
_PLUGIN = {"apiVersion": "client.authentication.k8s.io/v1", "command": "login"}


@pytest.mark.parametrize(
    ("cluster", "user", "match"),
    [
        ({}, {}, "server: expected an http or https URL, found ''"),
        ({"server": "unix:///run/x"}, {}, "server: expected an http or https URL"),
        ({"server": 7}, {}, "server: expected a text, found 'int'"),
        (_OK | {"certificate-authority-data": "%%"}, {}, "certificate-authority-data: expected base64"),
        (
            _OK | {"insecure-skip-tls-verify": True, "certificate-authority": "ca"},
            {},
            "certificate-authority or insecure-skip-tls-verify, found both",
        ),
        (_OK | {"insecure-skip-tls-verify": "yes"}, {}, "expected true or false, found 'yes'"),
        (_OK | {"proxy-url": "socks5://h"}, {}, "proxy-url: expected an http or https URL"),
        (_OK, {"client-certificate": "c"}, "client-certificate and client-key, found only one"),
        (_OK, {"auth-provider": {"name": "gcp"}}, "found auth-provider, which is not supported"),
        (_OK, {"as": "somebody"}, "found as, which is not supported"),
        (_OK, {"token": "a\nb"}, "token: expected printable ASCII"),
        (_OK, {"exec": {"command": "login"}}, "exec.apiVersion: expected client.authentication"),
        (_OK, {"exec": {**_PLUGIN, "command": ""}}, "exec.command: expected a program"),
        (_OK, {"exec": {**_PLUGIN, "interactiveMode": "Always"}}, "interactiveMode: expected Never"),
        (_OK, {"exec": {**_PLUGIN, "env": [{"name": "A"}]}}, "expected args as texts, env as names and values"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(cluster: Any, user: Any, match: str) -> None:
    """Never passed over: a client that did would ask another server, or as somebody else."""
    with pytest.raises(UsageError, match=match):
        access_of(cluster, user)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"current-context": ""}, "expected a current-context"),
        ({"contexts": None}, "expected contexts with 'x', found none"),
        ({"clusters": [{"name": "d"}]}, "expected clusters with 'c'"),
        ({"users": []}, "expected users with 'u'"),
    ],
)
def test_what_is_named_and_not_there(change: dict[str, Any], match: str) -> None:
    """The message names it."""
    with pytest.raises(UsageError, match=match):
        build_access([("f", config({"server": "h"}) | change)], {})


def test_a_pod_by_its_service_account(tmp_path: Path) -> None:
    """Address by the environment, IPv6 in brackets, token and CA as files, and never a proxy."""
    environment = {"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443", "HTTPS_PROXY": "http://p"}
    with pytest.raises(UsageError, match=r"no file .*/token"):
        pod_access(environment, str(tmp_path))
    for name in ("token", "ca.crt"):
        (tmp_path / name).write_text("x")

    found = pod_access(environment, str(tmp_path))
    assert (found.server, found.proxy) == ("https://[fd00::1]:443", "")
    assert (found.token_file, found.ca) == (f"{tmp_path}/token", f"{tmp_path}/ca.crt")
    with pytest.raises(UsageError, match="KUBERNETES_SERVICE_HOST"):
        pod_access({}, str(tmp_path))


@pytest.mark.parametrize("text", ["[" * 100_000, "- " * 100_000], ids=["json", "yaml"])
def test_a_file_that_is_nested_too_deep_is_refused(tmp_path: Path, text: str) -> None:
    """With its name; neither reader of it ends the process."""
    (tmp_path / "kubeconfig").write_text(text)

    with pytest.raises(UsageError, match="kubeconfig"):
        read_kubeconfig(str(tmp_path / "kubeconfig"), {})

"""Proxies by the environment: the rules of Go's programs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.edge.kube.proxy import find_proxy, split_proxy

_PROXY = {"HTTPS_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("server", "no_proxy", "goes"),
    [
        ("https://api.example", "", True),
        ("https://api.example", "*", False),
        ("https://api.example", "example", False),
        ("https://api.example", "other, .example", False),
        ("https://example", ".example", True),
        ("https://example", "*.example", True),
        ("https://api.example", "*.example", False),
        ("https://api.example", "ample", True),
        ("https://api.example", "API.EXAMPLE", False),
        ("https://api.example:6443", "api.example:6443", False),
        ("https://api.example:6443", "api.example:443", True),
        ("https://api.example", "api.example:443", False),
        ("https://10.1.2.3", "10.0.0.0/8", False),
        ("https://10.1.2.3", "10.1.2.0/33", True),
        ("https://10.1.2.3", "10.1.2.3", False),
        ("https://10.1.2.3:1", "10.1.2.3:1", False),
        ("https://110.1.2.3", "10.1.2.3", True),
        ("https://[fd00::1]:6443", "fd00::/8", False),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", False),
        ("https://localhost:6443", "", False),
        ("https://127.0.0.9", "", False),
        ("https://[::1]", "", False),
        ("http://api.example", "", False),
    ],
)
def test_no_proxy(server: str, no_proxy: str, goes: bool) -> None:  # noqa: FBT001
    """What NO_PROXY names, and this machine, are reached without; so is HTTP where only HTTPS has a proxy."""
    assert bool(find_proxy(server, _PROXY | {"NO_PROXY": no_proxy})) == goes


def test_names_of_the_variables() -> None:
    """Upper case before lower case; a proxy without a scheme is one of HTTP."""
    assert find_proxy("https://h", {"https_proxy": "p:1"}) == "http://p:1"
    assert find_proxy("https://h", {"https_proxy": "http://a", "HTTPS_PROXY": "https://b"}) == "https://b"
    assert find_proxy("http://h", {"HTTP_PROXY": "http://a", "no_proxy": "h"}) == ""


@given(st.text(max_size=20), st.sampled_from(["https://api.example", "https://10.0.0.1:6443", "https://[fd00::1]"]))
def test_any_text_is_a_list_of_rules(text: str, server: str) -> None:
    """Nonsense covers nothing and breaks nothing."""
    assert find_proxy(server, _PROXY | {"NO_PROXY": text}) in {"", "http://proxy:3128"}


def test_credentials_leave_the_url() -> None:
    """They are shown to the proxy as a header, decoded."""
    assert split_proxy("http://u:p%40ss@proxy:1") == ("http://proxy:1", {"Proxy-Authorization": "Basic dTpwQHNz"})
    assert split_proxy("http://proxy:1") == ("http://proxy:1", {})

"""Which proxy leads to a server, by the environment, as Go's programs decide it."""

import base64
import ipaddress
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

_PORTS = {"http": 80, "https": 443}


def find_proxy(server: str, environment: Mapping[str, str]) -> str:
    """The proxy's URL, or empty for none. Never one for this machine itself.

    `HTTPS_PROXY` or `HTTP_PROXY` by the server's scheme, less what `NO_PROXY` names: `*`, domains with all below
    them, `.domain` for only those below, addresses, networks, each perhaps with `:port`.
    """
    parts = urlsplit(server)
    name = f"{parts.scheme}_proxy"
    proxy = environment.get(name.upper()) or environment.get(name) or ""
    host, port = (parts.hostname or "").rstrip("."), parts.port or _PORTS.get(parts.scheme, 0)
    excepted = environment.get("NO_PROXY") or environment.get("no_proxy") or ""
    if not proxy or _is_local(host) or any(_covers(rule.strip().lower(), host, port) for rule in excepted.split(",")):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_local(host: str) -> bool:
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _covers(rule: str, host: str, port: int) -> bool:
    """Whether a rule of `NO_PROXY` excepts a host."""
    if rule == "*":
        return True
    address = _address(host)
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    if _address(rule) is None and ":" in rule:
        rule, _, wanted = rule.rpartition(":")
        if wanted != str(port):
            return False
    rule = rule.strip("[]")
    if address is not None:
        return address == _address(rule)
    rule = rule.removeprefix("*")
    return bool(rule) and (host == rule or host.endswith(rule if rule.startswith(".") else f".{rule}"))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def split_proxy(url: str) -> tuple[str, dict[str, str]]:
    """A proxy's URL without user and password, and the headers that show them to it."""
    parts = urlsplit(url)
    if parts.username is None:
        return url, {}
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
    return bare.geturl(), {"Proxy-Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}

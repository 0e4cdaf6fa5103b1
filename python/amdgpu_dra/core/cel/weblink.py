"""URLs as values, read as Go's net/url reads them."""

import re
from dataclasses import dataclass
from urllib.parse import quote, unquote_to_bytes

from amdgpu_dra.core.cel.errors import CelRuntimeError
from amdgpu_dra.core.cel.overloads import Functions, overload
from amdgpu_dra.core.cel.values import Opaque, Value

__all__ = ["FUNCTIONS", "Link", "read_link"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HOST = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:\[\]<>\"%\x80-\U0010ffff]*")
_USER = re.compile(r"[A-Za-z0-9\-._:~!$&'()*+,;=%@]*")
_PORT = re.compile(r"(?::[0-9]*)?")
_PATH_SAFE = "$&+,/:;=@!'()*-._~[]"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Link(Opaque):
    """A URL in its parts; `text` is the whole, as it is compared."""

    text: str
    scheme: str
    host: str
    path: str
    query: str
    type_name = "kubernetes.URL"

    def same(self, other: Opaque) -> bool:
        """Whether both are written the same."""
        return isinstance(other, Link) and self.text == other.text


def read_link(text: str) -> Link:
    """A URL with a scheme, or an absolute path.

    Raises:
        CelRuntimeError: neither.
    """
    try:
        return _read(text)
    except ValueError as fault:
        raise CelRuntimeError(f'URL parse error during conversion from string: parse "{text}": {fault}') from None


def _read(text: str) -> Link:
    if not text:
        raise ValueError("empty url")
    if _CONTROL.search(text):
        raise ValueError("invalid control character in URL")
    if text == "*":
        return Link(text=text, scheme="", host="", path="*", query="")
    _check_request(text)
    body, _, fragment = text.partition("#")
    if _BAD_ESCAPE.search(fragment):
        raise ValueError("invalid URL escape")
    scheme, rest = _split_scheme(body)
    rest, _, query = rest.partition("?")
    host, path, shown = _split_host(rest, with_authority=bool(scheme) or not rest.startswith("///"))
    whole = (f"{scheme}:" if scheme else "") + shown + _escape_path(path) + text[len(body.partition("?")[0]) :]
    return Link(text=whole, scheme=scheme, host=host, path=_escape_path(path), query=query)


def _check_request(text: str) -> None:
    """What a URL in a request must be: absolute, or a path from the root; without looking for a fragment."""
    scheme, rest = _split_scheme(text)
    rest = rest.partition("?")[0]
    if not rest.startswith("/"):
        if scheme:
            return
        raise ValueError("invalid URI for request")
    _split_host(rest, with_authority=bool(scheme) or not rest.startswith("///"))


def _split_scheme(text: str) -> tuple[str, str]:
    if text.startswith(":"):
        raise ValueError("missing protocol scheme")
    match = _SCHEME.match(text)
    return (match.group()[:-1].lower(), text[match.end() :]) if match else ("", text)


def _split_host(rest: str, *, with_authority: bool) -> tuple[str, str, str]:
    """Host, path, and how the part before the path is written."""
    if not (rest.startswith("//") and with_authority):
        if _BAD_ESCAPE.search(rest) and rest.startswith("/"):
            raise ValueError("invalid URL escape")
        return "", rest, ""
    authority, slash, path = rest[2:].partition("/")
    user, at, host = authority.rpartition("@")
    if at and not _USER.fullmatch(user):
        raise ValueError("net/url: invalid userinfo")
    if _BAD_ESCAPE.search(slash + path) or _BAD_ESCAPE.search(user):
        raise ValueError("invalid URL escape")
    return _host(host), slash + path, f"//{user}{at}{host}"


def _host(text: str) -> str:
    if not _HOST.fullmatch(text):
        raise ValueError("invalid character in host name")
    if text.startswith("["):
        inside, bracket, port = text.rpartition("]")
        if not bracket:
            raise ValueError("missing ']' in host")
        if not _PORT.fullmatch(port):
            raise ValueError(f'invalid port "{port}" after host')
        return _unescape_host(inside + bracket) + port
    if ":" in text and not _PORT.fullmatch(text[text.rindex(":") :]):
        raise ValueError(f'invalid port "{text[text.rindex(":") :]}" after host')
    return _unescape_host(text)


def _unescape_host(text: str) -> str:
    """A host's escapes, which stand for what is not ASCII, and for a percent sign."""
    if re.search("%(?!25)[0-7]", text):
        raise ValueError("invalid URL escape")
    return _unescape(text)


def _unescape(text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise ValueError("invalid URL escape")
    return unquote_to_bytes(text).decode(errors="replace")


def _escape_path(path: str) -> str:
    """The path with escapes: its own where they are valid, else Go's."""
    return quote(path, safe=_PATH_SAFE + "%")


def _hostname(link: Link) -> Value:
    host = link.host
    if host.startswith("["):
        return host[1 : host.index("]")] if "]" in host else host
    return host.rpartition(":")[0] if ":" in host and _PORT.fullmatch(host[host.rindex(":") :]) else host


def _port(link: Link) -> Value:
    rest = link.host.rpartition("]")[2] if link.host.startswith("[") else link.host
    return rest.rpartition(":")[2] if ":" in rest else ""


def _query(link: Link) -> Value:
    """Each key with its values; pairs that cannot be read are left out."""
    out: dict[Value, Value] = {}
    for pair in link.query.split("&"):
        if not pair or ";" in pair:
            continue
        key, _, value = pair.partition("=")
        try:
            name, text = _unescape(key.replace("+", " ")), _unescape(value.replace("+", " "))
        except ValueError:
            continue
        known = out.get(name, ())
        assert isinstance(known, tuple)  # noqa: S101 (only tuples are put in)
        out[name] = (*known, text)
    return out


def _is_url(text: str) -> Value:
    try:
        _check_whole(text)
    except ValueError:
        return False
    return True


def _check_whole(text: str) -> None:
    if not text:
        raise ValueError("empty url")
    if _CONTROL.search(text):
        raise ValueError("invalid control character in URL")
    if text != "*":
        _check_request(text)


FUNCTIONS: Functions = {
    "url": (overload("string_to_url", "(string) URL", read_link),),
    "getScheme": (overload("url_get_scheme", "URL.() string", lambda link: link.scheme),),
    "getHost": (overload("url_get_host", "URL.() string", lambda link: link.host),),
    "getHostname": (overload("url_get_hostname", "URL.() string", _hostname),),
    "getPort": (overload("url_get_port", "URL.() string", _port),),
    "getEscapedPath": (overload("url_get_escaped_path", "URL.() string", lambda link: link.path),),
    "getQuery": (overload("url_get_query", "URL.() map(string, list(string))", _query),),
    "isURL": (overload("is_url_string", "(string) bool", _is_url),),
}

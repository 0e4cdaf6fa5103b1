"""Names of the plugin's sockets, and how they come and go where another instance may have the same ones."""

import base64
import hashlib
import os
import re
import secrets
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass

from amdgpu_dra.api.errors import UsageError

# sun_path has 108 bytes with its end.
_LONGEST_PATH = 107
_SHORT = ".s"
_DRA = re.compile(r"dra(?:-(?P<uid>.+))?\.sock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sockets:
    """Paths of the sockets.

    With a pod's UID they are this instance's own, so that another can serve beside it: such names are taken by kubelets
    from 1.33 on. They are those of Kubernetes' own library (k8s.io/dynamic-resource-allocation, kubeletplugin).
    """

    dra: str
    registration: str

    @classmethod
    def of(cls, driver: str, *, plugins: str, registrar: str, pod_uid: str = "") -> "Sockets":
        """The names below the kubelet's folders. Raises UsageError if a path is too long for a socket."""
        dra = f"{plugins}/{driver}/{f'dra-{pod_uid}' if pod_uid else 'dra'}.sock"
        names = _registrations(driver, pod_uid)
        paths = [f"{registrar}/{name}" for name in names]
        fitting = [path for path in paths if len(os.fsencode(path)) <= _LONGEST_PATH]
        _check(dra, "--kubelet-plugins-directory-path")
        _check(fitting[0] if fitting else paths[-1], "--kubelet-registrar-directory-path")
        return cls(dra=dra, registration=fitting[0])


def _check(path: str, flag: str) -> None:
    if len(os.fsencode(path)) > _LONGEST_PATH:
        raise UsageError(
            f"socket {path}",
            expected=f"a path of at most {_LONGEST_PATH} bytes, which is what Linux takes for a socket",
            found=f"{len(os.fsencode(path))} bytes",
            action=f"set {flag} to a shorter path",
        )


def _registrations(driver: str, pod_uid: str) -> list[str]:
    """Names of the registration socket, most wanted first."""
    if not pod_uid:
        return [f"{driver}-reg.sock"]
    return [
        f"{driver}-{pod_uid}-reg.sock",
        f"{driver}-{_short(pod_uid, 8)}-reg.sock",
        f"dra-{_short(f'{driver}\0{pod_uid}', 16)}-reg.sock",
    ]


def _short(text: str, size: int) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()[:size]).rstrip(b"=").decode()


def temporary_path(path: str, driver: str) -> str:
    """Where a socket is made before it is renamed to `path`, by a name that is no longer than that one's.

    The kubelet passes over names that begin with a dot.
    """
    folder, name = os.path.split(path)
    made = f".{driver}.{secrets.token_hex(2)}"
    return f"{folder}/{made if len(made) <= len(name) else _SHORT + secrets.token_hex(2)}"


def find_stale(driver: str, *, plugins: str, registrar: str) -> Iterator[str]:
    """Sockets of instances that were killed: ours by their names, and nobody listens."""
    folder = f"{plugins}/{driver}"
    for name in _names(folder):
        if match := _DRA.fullmatch(name):
            # That of the service last: it is by this one that those of the registration are found.
            paths = [f"{registrar}/{item}" for item in _registrations(driver, match["uid"] or "")]
            yield from filter(_is_stale, [*paths, f"{folder}/{name}"])
    # The short name is for the folder that is ours alone.
    for place, starts in ((folder, (f".{driver}.", _SHORT)), (registrar, (f".{driver}.",))):
        names = (name for name in _names(place) if name.startswith(starts))
        yield from filter(_is_stale, (f"{place}/{name}" for name in names))


def _names(folder: str) -> list[str]:
    with suppress(FileNotFoundError):
        return sorted(os.listdir(folder))
    return []


def _is_stale(path: str) -> bool:
    """Whether it is a socket on which nobody listens; not if that cannot be known."""
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK) as caller:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            try:
                caller.connect(path)
            except ConnectionRefusedError:
                return True
    return False

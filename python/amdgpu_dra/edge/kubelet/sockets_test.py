"""Names of sockets as Kubernetes' own library makes them, and what is swept of instances that were killed."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.edge.kubelet.sockets import Sockets, find_stale, temporary_path

DRIVER = "gpu.amd.com"
UID = "3f0c5a2e-8f0e-4d4c-9a57-3a3f6a3c2a11"


@pytest.mark.parametrize(
    ("length", "name"),
    [
        (34, f"{DRIVER}-{UID}-reg.sock"),
        (50, f"{DRIVER}-{UID}-reg.sock"),
        (51, f"{DRIVER}-6qvvJxqclME-reg.sock"),
        (75, f"{DRIVER}-6qvvJxqclME-reg.sock"),
        (76, None),
    ],
)
def test_registration_sockets_are_named_by_the_pod(length: int, name: str | None) -> None:
    """By its UID, by a short hash of it where the path would be too long, and else it is refused with the flag."""
    registrar = "/" + "r" * (length - 2)
    if name is None:
        with pytest.raises(UsageError, match="set --kubelet-registrar-directory-path"):
            Sockets.of(DRIVER, plugins="/p", registrar=registrar, pod_uid=UID)
        return
    found = Sockets.of(DRIVER, plugins="/p", registrar=registrar, pod_uid=UID)

    assert found == Sockets(dra=f"/p/{DRIVER}/dra-{UID}.sock", registration=f"{registrar}/{name}")


def test_a_long_driver_name_is_hashed_too() -> None:
    """The third form has neither driver nor UID in it."""
    driver = "d" * 63
    found = Sockets.of(driver, plugins="/p", registrar="/" + "r" * 55, pod_uid="u")

    assert os.path.basename(found.registration) == "dra-s9rUcv-LgrtiRSD2J0HkXA-reg.sock"


def test_without_a_pod_there_is_one_name() -> None:
    """As kubelets before 1.33 need it."""
    assert Sockets.of(DRIVER, plugins="/p", registrar="/r") == Sockets(
        dra=f"/p/{DRIVER}/dra.sock", registration=f"/r/{DRIVER}-reg.sock"
    )


@given(st.integers(2, 120), st.integers(2, 120), st.sampled_from(["", UID]))
def test_no_path_is_too_long(plugins: int, registrar: int, uid: str) -> None:
    """Every path that is given fits into a socket's address; the temporary one in its place does as well."""
    try:
        found = Sockets.of(
            DRIVER, plugins="/" + "p" * (plugins - 1), registrar="/" + "r" * (registrar - 1), pod_uid=uid
        )
    except UsageError:
        return
    for path in (found.dra, found.registration):
        assert len(path) <= 107
        assert len(temporary_path(path, DRIVER)) <= 107 or len(os.path.basename(path)) < len(f".{DRIVER}.0000")


def _listen(path: Path, *, alive: bool) -> socket.socket:
    path.parent.mkdir(parents=True, exist_ok=True)
    found = socket.socket(socket.AF_UNIX)
    found.bind(str(path))
    if alive:
        found.listen()
    return found


def test_only_sockets_of_ours_on_which_nobody_listens_are_stale(tmp_path: Path) -> None:
    """Those of a killed instance, under all names; not those of a living one, of another driver, or a file."""
    plugins, registrar = tmp_path / "p", tmp_path / "r"
    folder = plugins / DRIVER
    stale = [
        _listen(folder / "dra-dead.sock", alive=False),
        _listen(registrar / f"{DRIVER}-dead-reg.sock", alive=False),
        _listen(folder / "dra.sock", alive=False),
        _listen(registrar / f"{DRIVER}-reg.sock", alive=False),
        _listen(registrar / f".{DRIVER}.12ab", alive=False),
        _listen(folder / ".s12ab", alive=False),
    ]
    kept = [
        _listen(folder / "dra-alive.sock", alive=True),
        _listen(registrar / f"{DRIVER}-alive-reg.sock", alive=True),
        _listen(registrar / "other.example.com-reg.sock", alive=False),
        _listen(registrar / ".s12ab", alive=False),
        _listen(registrar / f"{DRIVER}-x.example.com-reg.sock", alive=False),
    ]
    (folder / "dra-file.sock").write_text("")

    found = set(find_stale(DRIVER, plugins=str(plugins), registrar=str(registrar)))

    assert found == {item.getsockname() for item in stale}
    for item in stale + kept:
        item.close()


def test_folders_that_are_not_there_have_nothing(tmp_path: Path) -> None:
    """At the first start of all."""
    assert list(find_stale(DRIVER, plugins=str(tmp_path / "p"), registrar=str(tmp_path / "r"))) == []

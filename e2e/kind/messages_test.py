"""Every command where it cannot do its work: what is said, with status 2, and that nothing is made or left."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from harness.commands import main
from harness.host import Pieces
from harness.process import Lab, Process
from harness.state import Place, State

GONE = Process(pid=1, start=0, boot="another")
PIECES = Pieces(provider="podman", helm="/h", kubectl="/k", kind="/kind", kubernetes="v1", host="/host", node="/n.tar")
STATE = State(name="amdgpu-dra", way="podman", ready=True, pieces=PIECES, lab=Lab(outer=GONE, inner=GONE, cgroup="c"))
type Keep = Callable[[State], None]
type Refused = Callable[..., str]


@pytest.fixture(name="cache", autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache in which set-up has not run."""
    monkeypatch.setenv("AMDGPU_DRA_CACHE", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)
    (tmp_path / "e2e").mkdir()
    return tmp_path


@pytest.fixture(name="keep")
def _keep() -> Keep:
    """Keeps a state as `create` would have."""

    def keep(state: State) -> None:
        place = Place("amdgpu-dra")
        place.folder.mkdir(parents=True, exist_ok=True)
        place.write(state)

    return keep


@pytest.fixture(name="refused")
def _refused(capsys: pytest.CaptureFixture[str], cache: Path) -> Refused:
    """What a command says that has to be refused, and has to change nothing."""

    def run(*command: str) -> str:
        before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
        assert main(command) == 2
        assert before == {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
        said = capsys.readouterr().err
        assert said.startswith(f"{command[0]}: ")
        assert said.count("\n") == 1
        return said

    return run


def _set_up(cache: Path, pieces: Pieces) -> None:
    lines = [f"{name}={getattr(pieces, name)}" for name in Pieces.__slots__]
    (cache / "e2e" / "current").write_text("\n".join(lines))


def _program(path: Path, script: str = "exit 0") -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_create_before_set_up(refused: Refused) -> None:
    """It says what runs set-up."""
    assert "found nothing; call this through ./bazelw" in refused("create")


def test_create_where_kind_cannot_be(cache: Path, refused: Refused) -> None:
    """The reason that set-up found, and the other ways."""
    (cache / "e2e" / "unavailable").write_text("making a cluster needs root\n")

    said = refused("create")
    assert "kind: expected Docker, or root with namespaces for podman, found making a cluster needs root" in said
    assert "--way=kubeconfig" in said


def test_create_without_docker(cache: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set-up saw an engine; now there is no program for it."""
    _set_up(cache, replace(PIECES, provider="docker"))
    monkeypatch.setenv("PATH", str(cache / "empty"))

    assert f"Docker: expected a program docker on PATH, found none in {cache}/empty; install" in refused("create")


def test_create_with_docker_that_does_not_answer(
    cache: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `docker info` says is told."""
    _set_up(cache, replace(PIECES, provider="docker"))
    (cache / "bin").mkdir()
    _program(cache / "bin" / "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{cache}/bin:{os.environ['PATH']}")

    said = refused("create")
    assert "expected an engine that answers `docker info`" in said
    assert "Cannot connect to the Docker daemon" in said


def test_create_beside_a_kind_cluster_that_is_not_ours(
    cache: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the same name is left alone."""
    (cache / "bin").mkdir()
    _program(cache / "bin" / "docker")
    kind = _program(cache / "bin" / "kind", "echo other; echo amdgpu-dra")
    tool = _program(cache / "bin" / "tool")
    _set_up(cache, replace(PIECES, provider="docker", kind=kind, helm=tool, kubectl=tool))
    monkeypatch.setenv("PATH", f"{cache}/bin:{os.environ['PATH']}")

    assert "expected no kind cluster of this name, found one that was made by something else" in refused("create")


@pytest.mark.parametrize("piece", ["kind", "helm", "kubectl"])
def test_create_without_a_piece(cache: Path, refused: Refused, piece: str) -> None:
    """The program that is missing is named."""
    there = {each: _program(cache / f"a-{each}") for each in ("kind", "helm", "kubectl") if each != piece}
    _set_up(cache, replace(PIECES, **{**there, piece: f"/nowhere/{piece}"}))

    assert f"/nowhere/{piece}: expected a program that e2e/setup made, found nothing" in refused("create")


def test_create_without_podman_or_its_node_image(cache: Path, refused: Refused) -> None:
    """Each is named."""
    tool = _program(cache / "tool")
    pieces = replace(PIECES, kind=tool, helm=tool, kubectl=tool, host=str(cache / "host"))
    _set_up(cache, pieces)
    assert f"{cache}/host/usr/bin/podman: expected" in refused("create")
    (cache / "host/usr/bin").mkdir(parents=True)
    _program(cache / "host/usr/bin/podman")

    assert "/n.tar: expected the node image that e2e/setup made, found nothing; run e2e/setup" in refused("create")


@pytest.mark.parametrize(("has", "asked"), [("podman", "docker"), ("docker", "podman")])
def test_create_by_a_way_that_this_machine_has_not(cache: Path, refused: Refused, has: str, asked: str) -> None:
    """It says which one it has."""
    _set_up(cache, replace(PIECES, provider=has))

    said = refused("create", f"--way={asked}")
    assert f"--way={asked}: expected what this machine was set up for" in said
    assert f"found {has};" in said


@pytest.mark.parametrize(
    ("value", "found"),
    [(None, "found no such variable"), ("", "found no such variable"), ("/nowhere/config", "no file /nowhere/config")],
)
def test_create_by_a_kubeconfig_that_is_not_there(
    cache: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch, value: str | None, found: str
) -> None:
    """KUBECONFIG unset, empty, or with the path of nothing."""
    tool = _program(cache / "tool")
    _set_up(cache, replace(PIECES, helm=tool, kubectl=tool))
    if value is not None:
        monkeypatch.setenv("KUBECONFIG", value)

    said = refused("create", "--way=kubeconfig")
    assert "KUBECONFIG: expected the path of a kubeconfig" in said
    assert found in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--fleet=mi9000",), "--fleet: expected one of mi100-4, "),
        (("--name=A",), "--name: expected at most 30 small letters"),
        (("--way=vagrant",), "argument --way: invalid choice: 'vagrant'"),
        (("--flet=mi100-4",), "unrecognized arguments: --flet=mi100-4"),
        (("--way=kubeconfig", "--fleet=mi100-4"), "--fleet: expected none: nothing is put into the nodes"),
    ],
)
def test_create_with_wrong_options(cache: Path, refused: Refused, options: tuple[str, ...], expected: str) -> None:
    """What was expected is said, and what was found."""
    _set_up(cache, PIECES)

    assert expected in refused("create", *options)


@pytest.mark.parametrize("verb", ["load", "install", "test", "kubectl"])
def test_commands_before_create(refused: Refused, verb: str) -> None:
    """Each says how to make one; and names those that there are."""
    assert "expected one that create made, found none; make it: ./bazelw run //e2e/kind:create\n" in refused(verb)
    Place("other").folder.mkdir(parents=True)

    said = refused(verb, "--name=another")
    assert "cluster another: expected one that create made, found only other;" in said
    assert "./bazelw run //e2e/kind:create -- --name=another\n" in said


def test_create_twice(keep: Keep, refused: Refused) -> None:
    """The second says what is there, and both ways to go on."""
    keep(STATE)

    said = refused("create")
    assert "expected none of this name, found one by kind with podman" in said
    assert "go on with ./bazelw run //e2e/kind:load; ./bazelw run //e2e/kind:delete takes it away" in said


@pytest.mark.parametrize("verb", ["create", "load", "install", "test", "kubectl"])
def test_commands_on_a_half_made_cluster(keep: Keep, refused: Refused, verb: str) -> None:
    """As after a `create` that was killed: it has to be taken away first."""
    keep(replace(STATE, ready=False))

    said = refused(verb)
    assert "a half made one" in said
    assert "./bazelw run //e2e/kind:delete" in said


@pytest.mark.parametrize("verb", ["create", "load", "install", "test", "kubectl"])
@pytest.mark.parametrize("text", ["", "{}", "\x00", '{"version": 1, "name": 7}'])
def test_commands_with_a_spoiled_state(cache: Path, keep: Keep, refused: Refused, verb: str, text: str) -> None:
    """It is never guessed what it meant."""
    keep(STATE)
    (cache / "kind/amdgpu-dra/state.json").write_text(text)

    assert "./bazelw run //e2e/kind:delete" in refused(verb)


@pytest.mark.parametrize("verb", ["load", "install", "test", "kubectl"])
def test_commands_on_a_cluster_that_has_ended(keep: Keep, refused: Refused, verb: str) -> None:
    """As after a restart of the machine; another process that has its id is not taken for it."""
    keep(replace(STATE, lab=Lab(outer=GONE, inner=replace(Process.of(os.getpid()), start=0), cgroup="c")))

    said = refused(verb)
    assert f"process {os.getpid()}, in which it runs, found it has ended" in said
    assert "./bazelw run //e2e/kind:delete" in said


def test_delete_of_nothing(refused: Refused) -> None:
    """It says that there is none, and which there are."""
    assert "cluster amdgpu-dra: expected one that create made, found none;" in refused("delete")
    Place("other").folder.mkdir(parents=True)

    assert "found only other; name it by --name" in refused("delete")


@pytest.mark.parametrize("text", [None, "", "{}", "half"])
def test_delete_of_what_is_left(cache: Path, keep: Keep, text: str | None) -> None:
    """A cluster that has ended, or whose state is spoiled, is gone afterwards with its folder."""
    keep(STATE)
    folder = cache / "kind/amdgpu-dra"
    (folder / "containers/storage").mkdir(parents=True)
    if text is not None:
        (folder / "state.json").write_text(text)

    assert main(("delete",)) == 0
    assert not (cache / "kind").exists()


def _of_kubeconfig(cache: Path) -> State:
    tool = _program(cache / "tool", "exit 1")
    return replace(STATE, way="kubeconfig", lab=None, pieces=Pieces(provider="kubeconfig", helm=tool, kubectl=tool))


def test_load_into_nodes_that_are_not_ours(cache: Path, keep: Keep, refused: Refused) -> None:
    """It says how images get there instead."""
    keep(_of_kubeconfig(cache))

    said = refused("load")
    assert "whose nodes pull their images from a registry" in said
    assert "./bazelw run //images:push -- REGISTRY/REPOSITORY TAG" in said
    assert "./bazelw run //e2e/kind:install -- --image=REGISTRY/REPOSITORY:TAG" in said


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), "--image: expected REGISTRY/REPOSITORY:TAG, from where the nodes can pull, found none"),
        (("--image=r.example/p",), "--image: expected REPOSITORY:TAG, found r.example/p"),
        (("--image=r.example:5000/p",), "--image: expected REPOSITORY:TAG"),
        (("--image=r.example/p:1", "--fleet=mi100-4"), "--fleet: expected --fake beside it"),
        (("--image=r.example/p:1", "--fake", "--fleet=mi9"), "--fleet: expected one of mi100-4"),
        (("--image=r.example/p:1", "--values=/nowhere.yaml"), "--values: expected a file, found nothing at /nowhere"),
    ],
)
def test_install_with_wrong_options(
    cache: Path, keep: Keep, refused: Refused, options: tuple[str, ...], expected: str
) -> None:
    """Before anything is asked of the cluster."""
    keep(_of_kubeconfig(cache))

    assert expected in refused("install", *options)


def test_test_before_install(cache: Path, keep: Keep, refused: Refused) -> None:
    """It says how to install."""
    keep(_of_kubeconfig(cache))

    assert "expected the driver in it, found none: install has not run; install it:" in refused("test")


def test_a_second_command_waits_for_nobody(keep: Keep, refused: Refused) -> None:
    """While one works with the cluster another is refused."""
    keep(STATE)
    with Place("amdgpu-dra").taken():
        assert "expected no other command that works with it" in refused("delete")


def test_the_state_is_small_and_readable(cache: Path, keep: Keep) -> None:
    """A person can read it."""
    keep(STATE)

    assert json.loads((cache / "kind/amdgpu-dra/state.json").read_text())["name"] == "amdgpu-dra"

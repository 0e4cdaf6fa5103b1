"""Layers are the same bytes for the same input, wherever and in whatever order it comes."""

import importlib.util
import io
import signal
import subprocess
import sys
import tarfile
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(name="tool")
def _tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("layer", next(Path.cwd().glob("bazel/image/layer.py")))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _python_layer(tool: ModuleType, folder: Path, names: list[str]) -> bytes:
    """A layer of two modules that lie in `folder`."""
    rows = ["program\tpkg.a\n"]
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"NAME = {name!r}\n")
        rows.append(f"{path}\tpython/{name}\n")
    manifest = folder / "manifest"
    manifest.write_text("".join(rows))
    layer = tool.Layer()
    tool.python(layer, manifest)
    layer.write(folder / "out.tar.gz")
    return (folder / "out.tar.gz").read_bytes()


def test_same_input_gives_the_same_bytes(tool: ModuleType, tmp_path: Path) -> None:
    """Neither folder, time nor order of the input shows in a layer, compiled modules included."""
    names = ["pkg/a.py", "pkg/b.py"]

    assert _python_layer(tool, tmp_path / "one", names) == _python_layer(tool, tmp_path / "two", names[::-1])


def test_what_else_is_loaded_does_not_show(tool: ModuleType) -> None:
    """A module is compiled to the same bytes whether or not the process already holds its names and constants."""
    source = "class Outer:\n    class Inner:\n        def at(self):\n            return ('a b', 1.5, 10**20)\n"

    before = tool._marshalled(compile(source, "/x.py", "exec"))
    loaded: dict[str, object] = {}
    exec(compile(source, "/x.py", "exec"), loaded)  # noqa: S102
    after = tool._marshalled(compile(source, "/x.py", "exec"))

    assert before == after


def test_nothing_in_a_layer_is_writable_by_others(tool: ModuleType, tmp_path: Path) -> None:
    """No set-uid, no write bit for group or world, owners 0."""
    data = _python_layer(tool, tmp_path, ["pkg/a.py"])

    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            assert member.mode & 0o6022 == 0
            assert (member.uid, member.gid, member.mtime) == (0, 0, 0)


def test_tests_and_types_stay_out(tool: ModuleType, tmp_path: Path) -> None:
    """What no program needs is not packed."""
    data = _python_layer(tool, tmp_path, ["pkg/a.py", "pkg/a_test.py", "pkg/a.pyi"])

    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        assert not [name for name in tar.getnames() if name.endswith((".pyi", "_test.py"))]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_program_can_be_stopped_while_it_is_loaded(tool: ModuleType, tmp_path: Path, number: signal.Signals) -> None:
    """It ends by itself: as the first process of a container it would not even notice a signal without a handler."""
    (tmp_path / "program.py").write_text(f"import os\nos.kill(os.getpid(), {int(number)})\nprint('was loaded')\n")
    launcher = tmp_path / "launcher"
    launcher.write_text(tool._LAUNCHER.format(module="program").replace("/usr/lib/amdgpu-dra", str(tmp_path)))
    done = subprocess.run([sys.executable, "-I", str(launcher)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

"""Lint, format, types and walls, over every Python file of the repository."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HOME": os.environ.get("TEST_TMPDIR", "/tmp")}
FOLDERS = (".ci", "bazel", "charts", "docs", "e2e", "images", "proto", "python")


def _files() -> list[str]:
    """Every Python file that was given to this test, but for generated ones."""
    found = (path for folder in FOLDERS for path in Path(folder).rglob("*.py") if "_pb2" not in path.name)
    return sorted(str(path) for path in found)


def _run(*command: str, cwd: Path | None = None, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=cwd,
        env=environment or ENVIRONMENT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]


def _ruff() -> str:
    """The program of ruff's wheel, wherever the rules for Python put it."""
    import ruff  # noqa: PLC0415

    module = Path(ruff.__file__)
    for folder in (*module.parents, *module.resolve().parents):
        if (program := folder / "bin" / "ruff").is_file():
            return str(program)
    raise FileNotFoundError("ruff's program is not beside its package")


@pytest.mark.parametrize(
    "command", [("check", "--no-cache"), ("format", "--check", "--no-cache")], ids=["check", "format"]
)
def test_ruff_agrees(command: Sequence[str]) -> None:
    """No rule is broken, and the formatter would change nothing."""
    done = subprocess.run(
        [_ruff(), *command, "--config", "pyproject.toml", *_files()], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]


def test_types_hold() -> None:
    """mypy, strict, over the package with its tests."""
    environment = {**ENVIRONMENT, "MYPYPATH": f"python{os.pathsep}proto"}

    _run(
        "-m",
        "mypy",
        "--config-file=pyproject.toml",
        f"--cache-dir={os.environ['TEST_TMPDIR']}/mypy",
        "-p",
        "amdgpu_dra",
        environment=environment,
    )


def test_types_of_the_harness_hold() -> None:
    """mypy, strict, over the harness of the end-to-end tests."""
    environment = {**ENVIRONMENT, "MYPYPATH": f"e2e{os.pathsep}python"}
    cache = f"--cache-dir={os.environ['TEST_TMPDIR']}/mypy-e2e"

    _run("-m", "mypy", "--config-file=pyproject.toml", cache, "-p", "harness", environment=environment)


def test_walls_hold(tmp_path: Path) -> None:
    """The contracts of .importlinter, over the package without its tests."""
    for path in Path("python/amdgpu_dra").rglob("*.py"):
        if not path.name.endswith("_test.py"):
            target = tmp_path / path.relative_to("python")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    environment = {**ENVIRONMENT, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ENVIRONMENT['PYTHONPATH']}"}
    code = "import sys; from importlinter.cli import lint_imports_command; sys.exit(lint_imports_command())"

    _run(
        "-c",
        code,
        "--config",
        str(Path(".importlinter").resolve()),
        "--no-cache",
        cwd=tmp_path,
        environment=environment,
    )


def _named(path: Path, checkout: Path) -> bool:
    """Whether the BUILD file of the nearest package names the file, or the target that has its name."""
    package = path.parent
    while not (package / "BUILD.bazel").is_file():
        if package == checkout:
            return False
        package = package.parent
    text = (package / "BUILD.bazel").read_text()
    return f'"{path.relative_to(package)}"' in text or f'"{path.stem}"' in text


def test_every_file_belongs_to_a_target() -> None:
    """A Python file of the checkout that no BUILD file names would be tested by nobody, and none escapes this test."""
    checkout = Path("pyproject.toml").resolve().parent
    found = [path for folder in FOLDERS for path in (checkout / folder).rglob("*.py") if "offline" not in path.parts]

    assert [str(path) for path in found if not _named(path, checkout)] == []
    assert {str(path.relative_to(checkout)) for path in found} <= set(_files())

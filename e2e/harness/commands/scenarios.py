"""`test`: the scenarios of the end-to-end tests, on the driver that is installed."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from amdgpu_dra.api.errors import UsageError
from harness.cluster import Cluster, Installed
from harness.commands.install import count_devices, installed_values
from harness.commands.session import Session, Teller, hint
from harness.lab import GIVEN

SCENARIOS = tuple(f"e2e/{name}_test.py" for name in ("whole", "mixed", "partitions", "examples"))


class _Giver:
    """Hands the cluster to the scenarios, which make one of their own otherwise."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def pytest_configure(self, config: pytest.Config) -> None:
        """Called by pytest before it looks for tests."""
        config.stash[GIVEN] = self._cluster


def run_scenarios(session: Session, teller: Teller, arguments: Sequence[str]) -> int:
    """The exit status of pytest; scenarios that need another driver, or the nodes, are left out and say so.

    Args:
        session: with the driver installed.
        teller: hears where logs are kept.
        arguments: further ones for pytest, such as `-k one_gpu`.

    Raises:
        UsageError: `install` has not run, or not to its end.
    """
    installation = session.state.installation
    if installation is None or not installation.done:
        raise UsageError(
            f"cluster {session.name}",
            expected="the driver in it",
            found="none: install has not run" if installation is None else "a half installed one",
            action=f"install it: {hint('install', session.name)}",
        )
    cluster = session.cluster
    cluster.image = installation.image
    cluster.installed = Installed(
        fleet=installation.fleet,
        kernel=installation.kernel,
        values=installed_values(cluster),
        nodes=len(count_devices(cluster)),
    )
    options = ["-c", "pyproject.toml", "--rootdir", str(Path.cwd()), "-p", "no:cacheprovider", "-v", "-rs"]
    files = [path for path in SCENARIOS if Path(path).is_file()]
    status = int(pytest.main([*options, "--import-mode=importlib", *files, *arguments], plugins=[_Giver(cluster)]))
    if status == pytest.ExitCode.TESTS_FAILED:
        logs = session.place.folder / "logs"
        cluster.keep_logs(logs)
        teller.say(f"\nLogs and objects: {logs}")
    if status in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}:
        teller.say(f"Take the cluster away:          {hint('delete', session.name)}")
    return status

"""Runs pytest on the files that the command line names, and writes the log that Bazel keeps."""

import os
import sys
from pathlib import Path

import pytest


class Profile:
    """Loads the settings of property tests once pytest is set up: the same examples every time, no clock, no store."""

    @staticmethod
    def pytest_configure() -> None:
        """Called by pytest; Hypothesis is imported only now because pytest rewrites its assertions."""
        from hypothesis import HealthCheck, settings  # noqa: PLC0415

        settings.register_profile(
            "bazel",
            deadline=None,
            derandomize=True,
            database=None,
            print_blob=True,
            # It goes by the clock: a busy machine is no fault of a test.
            suppress_health_check=[HealthCheck.too_slow],
        )
        settings.load_profile("bazel")


def main() -> int:
    """The exit status of pytest; 5, for no test at all, is a failure too."""
    config = Path("pyproject.toml").resolve()
    options = ["-c", str(config), "--rootdir", str(Path.cwd()), "-p", "no:cacheprovider", "-ra"]
    options.append("--import-mode=importlib")
    if log := os.environ.get("XML_OUTPUT_FILE"):
        options.append(f"--junitxml={log}")
    return pytest.main([*options, *sys.argv[1:]], plugins=[Profile()])


if __name__ == "__main__":
    sys.exit(main())

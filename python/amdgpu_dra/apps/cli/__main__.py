"""Entry: `python -m amdgpu_dra.apps.cli`."""

import argparse
import os
import sys

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.apps.cli import conformance, explain
from amdgpu_dra.core.allocate import DecodeError


def main(arguments: list[str] | None = None) -> int:
    """The command's status; 2 for a wrong argument or an input that cannot be read."""
    parser = argparse.ArgumentParser(prog="amdgpu-dra", description="Tools around AMD GPUs as Kubernetes devices.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    conformance.add_command(commands)
    explain.add_command(commands)
    chosen = parser.parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
    except (OSError, DecodeError, UsageError) as error:
        print(f"amdgpu-dra: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    # `bazel run` starts programs in a folder of its own; file names are meant from where it was called.
    if folder := os.environ.get("BUILD_WORKING_DIRECTORY"):
        os.chdir(folder)
    sys.exit(main())

"""Entry: `python -m amdgpu_dra.apps.cli`."""

import argparse
import sys

from amdgpu_dra.apps.cli import conformance
from amdgpu_dra.core.allocate import DecodeError


def main(arguments: list[str] | None = None) -> int:
    """The command's status; 2 for a wrong argument or an input that cannot be read."""
    parser = argparse.ArgumentParser(prog="amdgpu-dra", description="Tools around AMD GPUs as Kubernetes devices.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    conformance.add_command(commands)
    chosen = parser.parse_args(arguments)
    try:
        status: int = chosen.run(chosen)
    except (OSError, DecodeError) as error:
        print(f"amdgpu-dra: {error}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())

"""Entry: `python -m amdgpu_dra.apps.fakegpu`."""

import argparse
import sys
from pathlib import Path

from amdgpu_dra.api.errors import DriverError
from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet, write_tree


def main(arguments: list[str] | None = None) -> int:
    """0; 2 for a wrong argument or fleet; 1 if the tree cannot be written."""
    parser = argparse.ArgumentParser(prog="fakegpu", description="Fake AMD GPU nodes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("render", help="write a tree: FOLDER/sys and FOLDER/dev")
    one.add_argument("--fleet", required=True, help=f"a fleet file, or one of {', '.join(bundled_fleets())}")
    one.add_argument("--out", required=True, type=Path, help="a new folder, or one written before")
    chosen = parser.parse_args(arguments)
    try:
        fleet = read_fleet(chosen.fleet)
        write_tree(render(fleet), chosen.out)
    except DriverError as error:
        print(f"fakegpu: {error}", file=sys.stderr)
        return 2
    except ValueError as error:
        print(f"fakegpu: fleet {chosen.fleet}: {error}", file=sys.stderr)
        return 2
    print(f"{fleet.name}: {len(fleet.gpus)} GPUs in {chosen.out}/sys and {chosen.out}/dev")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Entry: `python -m amdgpu_dra.apps.fakegpu`."""

import argparse
import sys
from pathlib import Path

from amdgpu_dra.api.errors import DriverError, UsageError
from amdgpu_dra.apps.fakegpu.kernel import run_kernel, send_lines
from amdgpu_dra.core.fakegpu import FleetSpec, render
from amdgpu_dra.edge.faketree import bundled_fleets, read_fleet, write_tree


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="fakegpu", description="Fake AMD GPU nodes.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    fleets = f"a fleet file, or one of {', '.join(bundled_fleets())}"
    one = commands.add_parser("render", help="write a tree of ordinary files: FOLDER/sys and FOLDER/dev")
    one.add_argument("--fleet", required=True, help=fleets)
    one.add_argument("--out", required=True, type=Path, help="a new folder, or one written before")
    two = commands.add_parser("mount", help="be the kernel of a tree until a signal comes: modes can be written")
    two.add_argument("--fleet", required=True, help=fleets)
    two.add_argument("--at", required=True, type=Path, help="a folder for sys (mounted), dev and the control socket")
    two.add_argument("--delay", type=_seconds, default=1.0, help="seconds that a change of a mode takes (default 1)")
    three = commands.add_parser("control", help="tell a mounted fake kernel what happens; `help` lists the lines")
    three.add_argument("--at", required=True, type=Path, help="the folder that was given to mount")
    three.add_argument("line", nargs="+", help="words of one line, for example: hold 4711 0000:05:00.0")
    return parser


def _seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 3600:  # noqa: PLR2004 - an hour
        raise ValueError
    return seconds


def main(arguments: list[str] | None = None) -> int:
    """0; 2 for a wrong argument, fleet or machine; 1 if the fake kernel refuses a control line."""
    chosen = _parser().parse_args(arguments)
    try:
        match chosen.command:
            case "render":
                return _render(_fleet(chosen.fleet), chosen.out)
            case "mount":
                return run_kernel(_fleet(chosen.fleet), chosen.at, delay=chosen.delay)
            case _:
                return send_lines(chosen.at, [" ".join(chosen.line)])
    except DriverError as error:
        print(f"fakegpu: {error}", file=sys.stderr)
        return 2


def _fleet(name: str) -> FleetSpec:
    """The fleet, of which it is certain that it can be rendered."""
    fleet = read_fleet(name)
    try:
        render(fleet)
    except ValueError as error:
        raise UsageError(
            f"fleet {name}", expected="a fleet that can be rendered", found=str(error), action="correct the file"
        ) from error
    return fleet


def _render(fleet: FleetSpec, out: Path) -> int:
    write_tree(render(fleet), out)
    print(f"{fleet.name}: {len(fleet.gpus)} GPUs in {out}/sys and {out}/dev")
    return 0


if __name__ == "__main__":
    sys.exit(main())

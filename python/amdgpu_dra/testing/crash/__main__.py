"""Entry: `./bazelw run //:crash`."""

import argparse
import asyncio
import os
import sys

from amdgpu_dra.testing.crash.paths import PATHS
from amdgpu_dra.testing.crash.run import Choice, crash


def main() -> int:
    """1 if a run did not end as without a kill."""
    parser = argparse.ArgumentParser(prog="crash", description="Kills the plugin before and after each of its effects.")
    parser.add_argument("--path", choices=[*PATHS], action="append", help="a path of a claim; all by default")
    parser.add_argument("--only", default="", help="only at effects whose words hold this, such as 'rename'")
    parser.add_argument("--all", action="store_true", help="in every phase of every path")
    parser.add_argument("--twice", action="store_true", help="also the plugin that takes over, at each of its effects")
    arguments = parser.parse_args()
    choice = Choice(every=arguments.all, twice=arguments.twice, only=arguments.only)
    if "FUSE_LIBRARY_PATH" in os.environ:
        # A child runs elsewhere.
        os.environ["FUSE_LIBRARY_PATH"] = os.path.abspath(os.environ["FUSE_LIBRARY_PATH"])  # noqa: PTH100
    reports = [
        asyncio.run(crash(PATHS[name], choice, progress=lambda line: print(line, flush=True)))
        for name in arguments.path or PATHS
    ]
    print("", *reports, sep="\n")
    for report in reports:
        print(*report.missed, *report.broken, sep="\n")
    return int(any(report.missed or report.broken for report in reports))


if __name__ == "__main__":
    sys.exit(main())

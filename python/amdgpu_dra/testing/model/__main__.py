"""`model --steps N`: the state machine for at least so many steps, and what happened in them."""

import argparse
import logging
import sys
from contextlib import nullcontext

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from amdgpu_dra.testing.cutfs import cut_mount
from amdgpu_dra.testing.model.machine import NodeMachine
from amdgpu_dra.testing.model.scene import TOTAL

_STORY = 60


def main() -> int:
    """1 if something did not hold; then the shortest story that leads there is printed."""
    parser = argparse.ArgumentParser(prog="model", description=__doc__)
    parser.add_argument("--steps", type=int, default=20_000, help="how many, at least")
    parser.add_argument(
        "--mounted",
        action="store_true",
        help="on a disk whose system calls fail and that loses what was not synced at a power cut; needs root, FUSE",
    )
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    how = settings(
        max_examples=max(1, arguments.steps // _STORY),
        stateful_step_count=_STORY,
        deadline=None,
        database=None,
        derandomize=False,
        suppress_health_check=list(HealthCheck),
    )
    with cut_mount() if arguments.mounted else nullcontext() as mount:
        NodeMachine.mount = mount
        while TOTAL["steps"] < arguments.steps:
            run_state_machine_as_test(NodeMachine, settings=how)
            print(f"{TOTAL['steps']} steps")
    for name, number in sorted(TOTAL.items()):
        print(f"{number:10} {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

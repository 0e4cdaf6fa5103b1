"""The programme of faults for as long as one likes: ./bazelw run //e2e:soak -- --minutes 5."""

import argparse
import sys

import pytest
from harness import TREES, Outcome, install_driver, open_cluster, run_soak

_FLEET = "mi300x-8-spx"
_IMAGES = ("images/kubelet_plugin/load/tarball.tar",)


def main() -> int:
    """Prints the figures; 1 if something was wrong, 2 where there can be no cluster."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0, help="whole rounds of faults for at least so long")
    parser.add_argument("--pods", type=int, default=16, help="how many pods at once")
    options = parser.parse_args()
    try:
        outcome = _run(options.pods, options.minutes * 60)
    except pytest.skip.Exception as error:
        print(error, file=sys.stderr)
        return 2
    print(outcome.table())
    for problem in outcome.problems:
        print(f"PROBLEM: {problem}")
    return 1 if outcome.problems else 0


def _run(pods: int, seconds: float) -> Outcome:
    problems: list[str] = []
    with open_cluster((_FLEET,), _IMAGES, failed=lambda: bool(problems), for_faults=True) as cluster:
        install_driver(cluster, f"{TREES}/{_FLEET}")
        outcome = run_soak(cluster, pods=pods, seconds=seconds, tell=lambda line: print(line, flush=True))
        problems.extend(outcome.problems)
    return outcome


if __name__ == "__main__":
    sys.exit(main())

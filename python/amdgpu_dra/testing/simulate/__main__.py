"""Prints how many requests for whole GPUs fragmentation blocked, by our order of devices and by a naive one.

Blocked: refused although a node had as many XCCs free as a whole GPU has.
"""

import argparse
import json
import sys
from dataclasses import asdict
from random import Random

from rich.console import Console
from rich.table import Table

from amdgpu_dra.core.fakegpu import render
from amdgpu_dra.core.gpu import Inventory, parse
from amdgpu_dra.edge.faketree import read_fleet
from amdgpu_dra.testing.simulate import Outcome, Pool, draw_requests, naive_order, our_order, play

# XCCs of a request, as parts of a whole GPU.
_PARTS = {"SPX": 1.0, "DPX": 1 / 2, "TPX": 1 / 3, "QPX": 1 / 4, "CPX": 1 / 8}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--fleet", default="mi300x-8-spx", help="fleet of each node")
    parser.add_argument("--nodes", type=int, default=4)
    parser.add_argument("--requests", type=int, default=20000, help="of each seed")
    parser.add_argument("--loads", default="0.5,0.7,0.9", help="offered load, as shares of all GPUs, with commas")
    parser.add_argument("--mix", default="SPX=3,CPX=7", help="weights of requests by compute mode")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--seeds", type=int, default=3, help="how many plays, one after another")
    parser.add_argument("--json", action="store_true", help="figures alone")
    return parser.parse_args()


def simulate(inventory: Inventory, arguments: argparse.Namespace) -> list[tuple[float, str, Outcome]]:
    """For each load the outcome of both orders, on the same requests, over all seeds."""
    mix = {name: int(weight) for name, _, weight in (item.partition("=") for item in arguments.mix.split(","))}
    mean = sum(_PARTS[mode] * weight for mode, weight in mix.items()) / sum(mix.values())
    listings = {"ours": our_order(inventory), "naive": naive_order(inventory)}
    found = []
    for load in (float(text) for text in arguments.loads.split(",")):
        stays = load * arguments.nodes * len(inventory.gpus) / mean
        outcomes = {name: Outcome() for name in listings}
        for seed in range(arguments.seed, arguments.seed + arguments.seeds):
            requests = draw_requests(
                Random(seed), count=arguments.requests, nodes=arguments.nodes, mix=mix, stays=stays
            )
            for name, listing in listings.items():
                outcomes[name] += play([Pool(listing) for _ in range(arguments.nodes)], requests)
        found += [(load, name, outcome) for name, outcome in outcomes.items()]
    return found


def main() -> int:
    """0."""
    arguments = _arguments()
    found = simulate(parse(render(read_fleet(arguments.fleet))), arguments)
    if arguments.json:
        print(json.dumps([{"load": load, "order": name, **asdict(outcome)} for load, name, outcome in found]))
        return 0
    given = f"{arguments.seeds} x {arguments.requests} requests, {arguments.nodes} nodes"
    table = Table(title=f"{given} {arguments.fleet}, {arguments.mix}")
    for column in ("load", "order", "whole GPUs", "blocked", "share", "full", "partitions", "refused"):
        table.add_column(column, justify="right")
    for load, name, outcome in found:
        share = f"{outcome.blocked / max(1, outcome.whole):.1%}"
        counts = (str(count) for count in (outcome.full, outcome.partitions, outcome.partitions_refused))
        table.add_row(f"{load:.2f}", name, str(outcome.whole), str(outcome.blocked), share, *counts)
    Console().print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())

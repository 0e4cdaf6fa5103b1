"""`explain`: why a claim does not fit, or where it does."""

import argparse
import json
import sys
from dataclasses import fields, replace

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.apps.cli.conformance import Commands
from amdgpu_dra.core.allocate import MOST_STEPS, Features
from amdgpu_dra.core.explain import (
    Question,
    Verdict,
    explain,
    find_claim,
    pick_node,
    read_claim,
    read_cluster,
    read_held,
    render_json,
    render_text,
)
from amdgpu_dra.edge.manifest import read_manifests

_OF_FEATURE = {"".join(part.capitalize() for part in item.name.split("_")): item.name for item in fields(Features)}
_GOOD = {Verdict.FITS, Verdict.ALLOCATED}


def add_command(commands: Commands) -> None:
    """Adds the command."""
    parser = commands.add_parser("explain", help="why a claim does not fit, by cause; status 0 if it fits, else 1")
    parser.add_argument("--claim", required=True, metavar="FILE", help="a ResourceClaim or its template; - for stdin")
    parser.add_argument("--name", help="which claim, if the file holds several")
    parser.add_argument(
        "--slices",
        required=True,
        metavar="FILE",
        help="ResourceSlices, as `kubectl get resourceslices -o json` prints them; other objects too",
    )
    parser.add_argument(
        "--objects",
        action="append",
        default=[],
        metavar="FILE",
        help="ResourceClaims, DeviceClasses, Nodes and more slices; may be repeated",
    )
    parser.add_argument("--node", metavar="NAME", help="ask this node alone")
    parser.add_argument("--json", action="store_true", help="print data instead of lines")
    parser.add_argument("--step-limit", type=_steps, default=MOST_STEPS, metavar="N", help="of the search, in all")
    parser.add_argument(
        "--feature",
        action="append",
        default=[],
        metavar="NAME=BOOL",
        help="a feature gate, if not as in Kubernetes 1.37: " + ", ".join(_OF_FEATURE),
    )
    parser.set_defaults(run=_run)


def _run(chosen: argparse.Namespace) -> int:
    """Prints the answer; 0 if the claim fits or is allocated, else 1."""
    found = explain(_ask(chosen))
    if chosen.json:
        json.dump(render_json(found), sys.stdout, indent=2, ensure_ascii=False)
        print()
    else:
        print("\n".join(render_text(found)))
    return 0 if found.verdict in _GOOD else 1


def _ask(chosen: argparse.Namespace) -> Question:
    files = [chosen.claim, chosen.slices, *chosen.objects]
    if files.count("-") > 1:
        raise UsageError("-", expected="standard input once", found="twice", action="name a file instead")
    claim = find_claim(read_manifests(chosen.claim), chosen.name)
    objects = [item for name in files[1:] for item in read_manifests(name)]
    cluster = read_cluster(objects, claim, _features(chosen.feature))
    if chosen.node is not None:
        cluster = replace(cluster, nodes=pick_node(cluster.nodes, chosen.node))
    return Question(
        cluster=cluster, claim=read_claim(claim), held=read_held(claim, objects), most_steps=chosen.step_limit
    )


def _features(given: list[str]) -> Features:
    """Those of a cluster of Kubernetes 1.37, but for what is given."""
    features = Features()
    for item in given:
        name, _, value = item.partition("=")
        if name not in _OF_FEATURE or value not in {"true", "false"}:
            raise UsageError(
                "--feature",
                expected=f"NAME=true or NAME=false, NAME one of {', '.join(_OF_FEATURE)}",
                found=item,
                action="correct it",
            )
        features = replace(features, **{_OF_FEATURE[name]: value == "true"})
    return features


def _steps(text: str) -> int:
    steps = int(text)
    if steps < 1:
        raise ValueError(text)
    return steps

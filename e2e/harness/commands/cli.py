"""The command lines of //e2e/kind."""

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Never

from amdgpu_dra.api.errors import DriverError, UsageError
from harness.commands.create import DEFAULT_FLEET, create
from harness.commands.delete import delete
from harness.commands.install import Wanted, install
from harness.commands.load import load
from harness.commands.scenarios import run_scenarios
from harness.commands.session import DEFAULT_NAME, Teller, open_session
from harness.host import KUBECONFIG_WAY, CommandError
from harness.state import Place

_HELP = {
    "create": "make a cluster with fake GPUs in its node, or look at the one that KUBECONFIG names",
    "load": "put the images of this build into its nodes",
    "install": "install the driver, or bring the installed one to other values",
    "test": "run the scenarios of the end-to-end tests on it; further arguments are pytest's, such as -k one_gpu",
    "delete": "take it away; of a cluster that KUBECONFIG names only what install made",
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise UsageError(self.prog, expected="arguments as --help lists them", found=message, action="see --help")


def main(arguments: Sequence[str]) -> int:
    """Runs a command: its name, then its arguments.

    Returns:
        0; 1 if something failed; 2 if the user has to do something first.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return _run(arguments[0], arguments[1:])
    except DriverError as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 2
    except (CommandError, OSError) as error:
        print(f"{arguments[0]}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{arguments[0]}: interrupted", file=sys.stderr)
        return 130


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    """SIGTERM is answered as Ctrl-C is: what is half made is taken away."""
    raise KeyboardInterrupt


def _run(verb: str, arguments: Sequence[str]) -> int:
    if verb == "kubectl":
        _exec_kubectl(arguments)
    parser = _parser(verb)
    options, more = parser.parse_known_args(arguments)
    if more and verb != "test":
        parser.error(f"unrecognized arguments: {' '.join(more)}")
    place, teller = Place(options.name), Teller()
    if verb == "create":
        create(place, teller, way=options.way, fleet=options.fleet)
    elif verb == "delete":
        delete(place, teller)
    else:
        # A place that create has not made is no place to lock.
        open_session(place)
        with place.taken():
            return _run_on(verb, place, teller, options, more)
    return 0


def _run_on(verb: str, place: Place, teller: Teller, options: argparse.Namespace, more: Sequence[str]) -> int:
    session = open_session(place)
    if verb == "load":
        load(session, teller)
    elif verb == "install":
        install(session, teller, _wanted(options))
    else:
        return run_scenarios(session, teller, more)
    return 0


def _parser(verb: str) -> _Parser:
    parser = _Parser(prog=verb, description=_HELP[verb], allow_abbrev=False)
    parser.add_argument("--name", default=DEFAULT_NAME, help=f"of the cluster; by default {DEFAULT_NAME}")
    if verb == "create":
        ways = ("docker", "podman", KUBECONFIG_WAY)
        text = f"{KUBECONFIG_WAY}: nothing is made; by default kind, with Docker where an engine answers, else podman"
        parser.add_argument("--way", choices=ways, default="", help=text)
        parser.add_argument("--fleet", default="", help=f"of the fake GPUs; by default {DEFAULT_FLEET}")
    if verb == "install":
        kernel = "fake GPUs by the fake kernel, as a pod of each node: any cluster, and modes that can be switched"
        parser.add_argument("--fake", action="store_true", help=kernel)
        parser.add_argument("--fleet", default="", help="of the fake GPUs; by default that of create")
        parser.add_argument("--image", default="", help="REPOSITORY:TAG of the plugin; by default what load loaded")
        parser.add_argument("--fake-image", default="", help="REPOSITORY:TAG of the fake kernel; likewise")
        parser.add_argument("--set", action="append", default=[], help="a value of the chart, PATH=VALUE; repeatable")
        parser.add_argument("--values", action="append", default=[], help="a file of values; repeatable")
    return parser


def _wanted(options: argparse.Namespace) -> Wanted:
    return Wanted(
        kernel=options.fake,
        fleet=options.fleet,
        image=options.image,
        kernel_image=options.fake_image,
        sets=options.set,
        files=[_caller() / path for path in options.values],
    )


def _caller() -> Path:
    """Where the user called."""
    return Path(os.environ.get("BUILD_WORKING_DIRECTORY", Path.cwd()))


def _exec_kubectl(arguments: Sequence[str]) -> Never:
    """Becomes kubectl, in the cluster's network and with its kubeconfig; files are the caller's.

    All arguments are kubectl's, but for a first one `--name=NAME`.
    """
    named = bool(arguments) and arguments[0].startswith("--name=")
    place = Place(arguments[0].removeprefix("--name=") if named else DEFAULT_NAME)
    session = open_session(place)
    kubeconfig = f"KUBECONFIG={place.folder}/kubeconfig"
    command = session.cluster.host.in_network("env", kubeconfig, session.state.pieces.kubectl, *arguments[named:])
    os.chdir(_caller())
    os.execvp(command[0], list(command))  # noqa: S606 - a terminal is kubectl's own

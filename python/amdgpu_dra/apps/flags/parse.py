"""From a command line and an environment to values."""

import argparse
import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Never

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.apps.flags.flag import Flag, read_bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A program, or a mode of one: its name, what it does, its flags and its version."""

    name: str
    description: str
    flags: tuple[Flag, ...]
    version: str


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise UsageError("command line", expected="flags as --help lists them", found=message, action="see --help")


def parse(program: Program, arguments: Sequence[str], environment: Mapping[str, str]) -> dict[str, Any]:
    """The value of each flag that is not inert, by its name with `_` for `-`.

    Raises:
        UsageError: an unknown flag (with the nearest known one), or a value that is none.
    """
    parser = _Parser(prog=program.name, description=program.description, allow_abbrev=False)
    parser.add_argument("-version", "--version", action="version", version=program.version)
    for flag in program.flags:
        names = [f"-{flag.name}", f"--{flag.name}"]
        switch: dict[str, Any] = {"nargs": "?", "const": True} if flag.read is read_bool else {}
        note = f"{flag.help} [{flag.env}] (default {flag.default!r})".replace("%", "%%")
        parser.add_argument(*names, dest=flag.name, type=_wrap(flag), help=note, **switch)
    known, unknown = parser.parse_known_args(arguments)
    if unknown:
        raise _unknown(unknown[0], program.flags)
    return {
        flag.name.replace("-", "_"): _value(flag, vars(known), environment) for flag in program.flags if not flag.inert
    }


def _wrap(flag: Flag) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        try:
            return flag.read(text)
        except ValueError as error:
            raise UsageError(
                f"flag --{flag.name}", expected=str(error), found=repr(text), action=f"correct it ({flag.help})"
            ) from error

    return read


def _value(flag: Flag, given: Mapping[str, Any], environment: Mapping[str, str]) -> Any:
    if given[flag.name] is not None:
        return given[flag.name]
    text = environment.get(flag.env, "")
    return _wrap(flag)(text) if text else flag.default


def _unknown(argument: str, flags: Iterable[Flag]) -> UsageError:
    name = argument.lstrip("-").partition("=")[0]
    near = difflib.get_close_matches(name, [flag.name for flag in flags], n=1)
    return UsageError(
        "command line",
        expected="flags as --help lists them",
        found=argument,
        action=f"did you mean --{near[0]}?" if near else "see --help",
    )


def given_inert(flags: Iterable[Flag], arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Flags that were given and change nothing, so that a log line can say so."""
    given = {argument.lstrip("-").partition("=")[0] for argument in arguments}
    return [flag.name for flag in flags if flag.inert and (flag.name in given or environment.get(flag.env))]


def render_reference(flags: Iterable[Flag]) -> str:
    """The rows of a reference page, with their head."""
    rows = ["| flag | environment | default | meaning |", "|---|---|---|---|"]
    for flag in flags:
        text = flag.help.replace("|", "\\|")
        rows.append(f"| `--{flag.name}` | `{flag.env}` | `{flag.default!r}` | {text} |")
    return "\n".join(rows) + "\n"

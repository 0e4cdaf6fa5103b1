"""What every push is told, and what it does before anything is sent."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.edge.release import Checkout, Registry, Repository, find_credentials, look_at

_SHOWN = 3  # changed files in a message


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Where to push, from which checkout, with whose environment."""

    repository: Repository
    plain_http: bool
    ca_file: str
    allow_dirty: bool
    checkout: Path
    environment: Mapping[str, str]


def open_registry(options: Options) -> Registry:
    """The registry, with the credentials that this machine has for it.

    Raises:
        UsageError: these cannot be read, or there is no such file of authorities.
        NotReadyError: no registry answers.
    """
    credentials = find_credentials(options.repository.host, options.environment)
    if options.ca_file and not Path(options.ca_file).is_file():
        raise UsageError(
            "--ca-file", expected="a file", found=repr(options.ca_file), action="name it by its whole path"
        )
    found = Registry(options.repository, credentials, plain_http=options.plain_http, ca_file=options.ca_file)
    found.check(options.repository)
    return found


def clean_checkout(options: Options) -> Checkout:
    """The checkout.

    Raises:
        UsageError: its files are not those of its commit, and nobody allowed that.
    """
    found = look_at(options.checkout)
    if found.changed and not options.allow_dirty:
        names = ", ".join(found.changed[:_SHOWN]) + (", …" if len(found.changed) > _SHOWN else "")
        raise UsageError(
            f"checkout {options.checkout}",
            expected="the files of its commit",
            found=f"{len(found.changed)} changed or new: {names}",
            action="commit them, or give --allow-dirty",
        )
    return found

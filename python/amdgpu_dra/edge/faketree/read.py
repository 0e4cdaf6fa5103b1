"""Fleet files: one of ours by name, or any by path."""

from importlib import resources
from pathlib import Path

import yaml

from amdgpu_dra.api.errors import UsageError
from amdgpu_dra.core.fakegpu import FleetError, FleetSpec, decode_fleet


def bundled_fleets() -> list[str]:
    """Names of the fleets that come with the driver."""
    folder = resources.files("amdgpu_dra.core.fakegpu") / "fleets"
    return sorted(item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml"))


def read_fleet(name: str) -> FleetSpec:
    """A bundled fleet by its name, or a fleet file by its path.

    Raises:
        UsageError: neither, or not a fleet; every wrong field is named.
    """
    path = Path(name)
    if name in bundled_fleets():
        text = (resources.files("amdgpu_dra.core.fakegpu") / "fleets" / f"{name}.yaml").read_text()
    else:
        try:
            text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(
                f"fleet {name}",
                expected=f"a file, or one of {', '.join(bundled_fleets())}",
                found=str(getattr(error, "strerror", error)),
                action="name one of them or the path of a fleet file",
            ) from error
    try:
        found = yaml.safe_load(text)
    # YAML has dates and numbers that Python has not, and documents deeper than its stack.
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _not_a_fleet(name, f"no YAML: {error}") from error
    try:
        return decode_fleet(found)
    except FleetError as error:
        raise _not_a_fleet(name, str(error)) from error


def _not_a_fleet(name: str, found: str) -> UsageError:
    return UsageError(
        f"fleet {name}", expected="a fleet in YAML", found=found, action="compare it with a bundled fleet"
    )

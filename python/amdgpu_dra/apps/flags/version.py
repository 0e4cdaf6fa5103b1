"""The version of a program."""

from collections.abc import Mapping
from typing import Final

# Set in an image's configuration by `//images:push`, from the git tag (`core/release/stamp.py`).
VERSION_ENV: Final = "AMDGPU_DRA_VERSION"
_UNRELEASED: Final = "0.0.0-dev"


def version_of(environment: Mapping[str, str]) -> str:
    """What the image says that it is; without a release nobody knows."""
    return environment.get(VERSION_ENV) or _UNRELEASED

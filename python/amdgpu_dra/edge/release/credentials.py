"""Credentials for a registry: given ones, or those that docker and podman keep."""

import base64
import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from amdgpu_dra.api.errors import UsageError

# What docker files the credentials of its own registry under.
_KEYS = {"docker.io": ("https://index.docker.io/v1/", "docker.io", "index.docker.io")}
_TOKEN_USER = "<token>"  # noqa: S105 - what helpers give as the user of an identity token


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """A user and a password, or a token that is exchanged for others; `source` tells messages where they come from."""

    user: str = ""
    password: str = ""
    identity_token: str = ""
    source: str = "none"

    def __repr__(self) -> str:
        return f"Credentials(source={self.source!r})"

    @property
    def given(self) -> bool:
        """Whether there are any."""
        return bool(self.password or self.identity_token)


def find_credentials(host: str, environment: Mapping[str, str]) -> Credentials:
    """REGISTRY_USERNAME and REGISTRY_PASSWORD, or what docker's config.json has for that registry.

    The file lies in DOCKER_CONFIG, or in ~/.docker; helpers that it names are asked.

    Raises:
        UsageError: the file is none, or a helper refuses.
    """
    if password := environment.get("REGISTRY_PASSWORD", ""):
        user = environment.get("REGISTRY_USERNAME", "")
        return Credentials(user=user, password=password, source="REGISTRY_USERNAME and REGISTRY_PASSWORD")
    folder = environment.get("DOCKER_CONFIG") or f"{environment.get('HOME', '/root')}/.docker"
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_bytes())
    except FileNotFoundError:
        return Credentials()
    except (OSError, ValueError) as error:
        raise UsageError(
            f"{path}", expected="docker's configuration as JSON", found=str(error), action="log in anew"
        ) from error
    return _of_config(config, host, path, environment)


def _of_config(config: Mapping[str, Any], host: str, path: Path, environment: Mapping[str, str]) -> Credentials:
    keys = _KEYS.get(host, (host, f"https://{host}", f"https://{host}/v1/"))
    helpers = config.get("credHelpers", {})
    for key in keys:
        if helper := helpers.get(key) or config.get("credsStore"):
            found = _ask_helper(helper, key, environment)
            if found.given:
                return found
        entry = config.get("auths", {}).get(key, {})
        if entry.get("identitytoken"):
            return Credentials(identity_token=entry["identitytoken"], source=f"{path}")
        if entry.get("auth"):
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
            return Credentials(user=user, password=password, source=f"{path}")
    return Credentials()


def _ask_helper(helper: str, key: str, environment: Mapping[str, str]) -> Credentials:
    """What `docker-credential-HELPER get` says; nothing where it has nothing."""
    program = f"docker-credential-{helper}"
    try:
        done = subprocess.run(  # noqa: S603 - the program that docker's configuration names
            [program, "get"], input=key, capture_output=True, text=True, check=False, timeout=60, env=dict(environment)
        )
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"credential helper {program}",
            expected="an answer",
            found=str(error),
            action="put it on PATH, or set REGISTRY_USERNAME and REGISTRY_PASSWORD",
        ) from error
    if done.returncode != 0:
        return Credentials()
    answer = json.loads(done.stdout)
    source = f"credential helper {program}"
    if answer["Username"] == _TOKEN_USER:
        return Credentials(identity_token=answer["Secret"], source=source)
    return Credentials(user=answer["Username"], password=answer["Secret"], source=source)

"""Names of repositories and tags, as people write them."""

import re
from dataclasses import dataclass

from amdgpu_dra.api.errors import UsageError

_HOST = re.compile(r"localhost(:\d+)?|\[[0-9a-fA-F:]+\](:\d+)?|[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*(:\d+)?")
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
# The one registry whose API has another name than its images.
_API = {"docker.io": "registry-1.docker.io"}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of a registry.

    Attributes:
        host: name, and port if it is not the usual one.
        name: of the repository there.
    """

    host: str
    name: str

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"

    @property
    def api(self) -> str:
        """Where its API is."""
        return _API.get(self.host, self.host)

    def beside(self, end: str) -> "Repository":
        """The repository whose name ends so."""
        return Repository(self.host, self.name + end)


def parse_repository(text: str) -> Repository:
    """REGISTRY/REPOSITORY.

    Raises:
        UsageError: it is none.
    """
    host, slash, name = text.removeprefix("oci://").partition("/")
    named = _HOST.fullmatch(host) and (host.startswith("localhost") or "." in host or ":" in host)
    if not slash or not named or not _NAME.fullmatch(name):
        raise UsageError(
            "REGISTRY/REPOSITORY",
            expected="a host and a name in small letters, without a tag, such as registry.example/gpu/plugin",
            found=repr(text),
            action="correct it",
        )
    return Repository(host, name)


def parse_tag(text: str) -> str:
    """A tag.

    Raises:
        UsageError: it is none.
    """
    if not _TAG.fullmatch(text):
        raise UsageError(
            "TAG", expected="at most 128 letters, digits and . _ -", found=repr(text), action="choose another tag"
        )
    return text

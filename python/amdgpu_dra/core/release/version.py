"""The version of a checkout, from what `git describe` says of it."""

import re

_TAGGED = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]+)?-(\d+)-(g[0-9a-f]+)")
_DIRTY = "-dirty"


def version_of(described: str) -> str:
    """A version by SemVer 2 that sorts after the tag before it and before the next one.

    Args:
        described: by `git describe --tags --long --always --dirty`: `v1.2.3-5-gabc1234`, `-dirty` at its end where the
            checkout differs from its commit, or a commit alone where there is no tag.

    Returns:
        `1.2.3` of a tagged commit, `1.2.4-dev.5.gabc1234` five commits later, `0.0.0-dev.gabc1234` without any tag;
        `.dirty` at its end where the checkout is. No `+`, which tags of images and charts may not have.
    """
    end = ".dirty" if described.endswith(_DIRTY) else ""
    described = described.removesuffix(_DIRTY)
    match = _TAGGED.fullmatch(described)
    if match is None:
        return f"0.0.0-dev.g{described}{end}"
    major, minor, patch, before, since, commit = match.groups()
    if since == "0" and not end:
        return f"{major}.{minor}.{patch}{before or ''}"
    # A pre-release of its own sorts before more of the same; a release only before the next patch.
    start = f"{major}.{minor}.{patch}{before}." if before else f"{major}.{minor}.{int(patch) + 1}-"
    return f"{start}dev.{since}.{commit}{end}"

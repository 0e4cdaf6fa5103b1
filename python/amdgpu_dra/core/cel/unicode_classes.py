"""Unicode's general categories as classes of a pattern."""

import sys
import unicodedata
from functools import cache

__all__ = ["ranges_of"]


@cache
def ranges_of(name: str) -> str | None:
    """The inside of a class for `L`, `Lu`, `Nd` …; None for a name that is no category."""
    if name == "Any":
        return r"\U00000000-\U0010ffff"
    members = [code for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith(name)]
    if not members or not name:
        return None
    parts, start, last = [], members[0], members[0]
    for code in [*members[1:], -1]:
        if code == last + 1:
            last = code
            continue
        parts.append(f"\\U{start:08x}-\\U{last:08x}")
        start = last = code
    return "".join(parts)

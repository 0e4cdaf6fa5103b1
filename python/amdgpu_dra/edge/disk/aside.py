"""Files that are no records are kept under another name, for whoever looks into it; not without end."""

import os
from contextlib import suppress

_MARK = ".corrupt"
# More than a node has claims: even if every record of it is lost at once, each is kept.
_MOST = 1000
# Bytes; a name may have 255.
_LONGEST = 200


def set_aside(folder: str, name: str, *, copy: bool = False) -> str:
    """Renames `folder/name`, to a name that nothing has; or gives it that name as well, if it is to be replaced.

    Returns:
        The new name: `name.corrupt`, or with a number behind it if that was taken.

    Raises:
        OSError: it cannot be renamed.
    """
    start = os.fsdecode(os.fsencode(name)[:_LONGEST]) + _MARK
    number, to = 0, start
    mine = os.lstat(f"{folder}/{name}")
    while os.path.lexists(f"{folder}/{to}"):
        if os.path.samestat(mine, os.lstat(f"{folder}/{to}")):
            # Who has given it that name was killed before the old one went.
            if not copy:
                os.unlink(f"{folder}/{name}")
            return to
        number += 1
        to = f"{start}.{number}"
    if copy:
        # Not of a folder, and not on every file system.
        with suppress(OSError):
            os.link(f"{folder}/{name}", f"{folder}/{to}", follow_symlinks=False)
            return to
    os.rename(f"{folder}/{name}", f"{folder}/{to}")
    return to


def drop_oldest(folder: str) -> None:
    """Removes of the files that were set aside those beyond the newest thousand. Raises OSError."""
    with os.scandir(folder) as found:
        kept = [entry for entry in found if _MARK in entry.name]
    if len(kept) <= _MOST:
        return
    # What cannot be removed (a folder, for one) stays.
    for entry in sorted(kept, key=_changed)[: len(kept) - _MOST]:
        with suppress(OSError):
            os.unlink(entry.path)


def _changed(entry: os.DirEntry[str]) -> int:
    """The time at which its name was changed, in ns; 0 if it has gone meanwhile."""
    try:
        return entry.stat(follow_symlinks=False).st_ctime_ns
    except FileNotFoundError:
        return 0

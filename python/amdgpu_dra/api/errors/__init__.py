"""Every error that we raise, by what its reader should do.

    DriverError             where, expected, found, what to do
    ├── UsageError          the operator changes a flag, a path or a setting; the process ends with status 2
    ├── ClaimError          the user changes the claim; trying again as it is will not help
    ├── NotReadyError       wait: the same call may succeed later
    └── HostError           the node's administrator looks: sysfs, a device node or the disk refuses

"Cannot be placed" is a result of allocation, not an error.
"""

__all__ = ["ClaimError", "DriverError", "HostError", "NotReadyError", "UsageError", "shorten"]


class DriverError(Exception):
    """Base of all; `str()` is one line: where: expected …, found …; what to do."""

    def __init__(self, where: str, *, expected: str, found: str, action: str) -> None:
        super().__init__(where, expected, found, action)
        self.where, self.expected, self.found, self.action = where, expected, found, action

    def __str__(self) -> str:
        text = f"{self.where}: expected {self.expected}, found {self.found}; {self.action}"
        # What was found may hold half of a surrogate pair, as JSON allows; an error is sent on, and must be a text.
        return " ".join(text.split()).encode("utf-8", "backslashreplace").decode()


class UsageError(DriverError):
    """A flag, path or setting is wrong."""


class ClaimError(DriverError):
    """This claim cannot be prepared as it is."""


class NotReadyError(DriverError):
    """Not now; the same call may succeed later.

    Attributes:
        retry_after: seconds for which the server asked not to be asked again; None if it did not.
        refused: it was understood and refused: only what others change will make it succeed.
    """

    retry_after: float | None = None
    refused: bool = False


class HostError(DriverError):
    """The node refuses: sysfs, a device node or the disk."""


def shorten(value: object, longest: int = 80) -> str:
    """What was found, for a message: as Python writes it, and cut off at so many characters.

    What others wrote may be a megabyte, and messages end in Events, logs and answers that are bounded.
    """
    text = repr(value[: longest + 1] if isinstance(value, str | bytes) else value)
    return text if len(text) <= longest else f"{text[:longest]}…"

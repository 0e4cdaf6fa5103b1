"""The search: depth first over claims, requests and devices; the first solution wins.

Upstream's recursion (allocateOne) with a stack of its own, so that no claim is too deep, and with its steps counted
alike.
"""

from collections.abc import Sequence
from enum import Enum

from amdgpu_dra.core.allocate.errors import AllocationError, StepLimitError
from amdgpu_dra.core.allocate.placing import Placing
from amdgpu_dra.core.allocate.wanted import FITS, REFUSED, Wanted

MOST_RESULTS = 32


class Found(Enum):
    """What a step came to: a solution, none, or more devices than one claim may have."""

    DONE = "done"
    NONE = "none"
    TOO_MANY = "too many"


class ClaimFrame:
    """A claim whose requests are all served. What is too many for a later claim is no fault of this one."""

    __slots__ = ()


class ChoiceFrame:
    """A request with alternatives, of which one is being tried."""

    __slots__ = ("at", "claim", "only_too_many", "request")

    def __init__(self, claim: int, request: int) -> None:
        self.claim, self.request, self.at, self.only_too_many = claim, request, -1, True


class DeviceFrame:
    """One device of a request: `at` is the next index to try, `chosen` the one that is being tried."""

    __slots__ = ("at", "claim", "nth", "request", "wanted")

    def __init__(self, claim: int, request: int, wanted: Wanted, nth: int, at: int) -> None:
        self.claim, self.request, self.wanted, self.nth, self.at = claim, request, wanted, nth, at


type Frame = ClaimFrame | ChoiceFrame | DeviceFrame


class Search:
    """One search.

    Attributes:
        steps: invocations of upstream's allocateOne so far.
        chosen: claim and request -> the alternative that was chosen.
    """

    def __init__(
        self, wanted: Sequence[Sequence[Sequence[Wanted]]], placing: Placing, limit: int, *, pruned: bool
    ) -> None:
        self._wanted, self._placing, self._limit = wanted, placing, limit
        self._stack: list[Frame] = []
        self._combinations = placing.context.variant.ordered
        self._pruned = pruned
        self.steps = 0
        self.chosen: dict[tuple[int, int], int] = {}

    def run(self) -> bool:
        """Whether there is a solution; it is in the placing then.

        Raises:
            AllocationError: upstream's fatal error.
            StepLimitError: the limit was reached.
        """
        found = self._enter(0, 0, None, 0, 0)
        while self._stack and found is not Found.DONE:
            found = self._next(self._stack[-1]) if found is None else self._return(self._stack[-1], found)
        if found is Found.TOO_MANY:
            raise AllocationError("allocation max size exceeded")
        for frame in self._stack:
            if isinstance(frame, ChoiceFrame):
                self.chosen[frame.claim, frame.request] = frame.at
        return found is Found.DONE

    def _enter(self, claim: int, request: int, wanted: Wanted | None, nth: int, start: int) -> Found | None:
        """Goes on from here until there is an answer, or (None) a frame that has alternatives to try."""
        while True:
            self.steps += 1
            if self.steps > self._limit:
                raise StepLimitError
            if claim >= len(self._wanted):
                return Found.DONE
            if request >= len(self._wanted[claim]):
                self._stack.append(ClaimFrame())
                claim, request, wanted, nth, start = claim + 1, 0, None, 0, 0
                continue
            if wanted is None:
                alternatives = self._wanted[claim][request]
                if alternatives[0].request.parent:
                    self._stack.append(ChoiceFrame(claim, request))
                    return None
                wanted = alternatives[0]
            if wanted.every is not None and not wanted.every:
                return Found.NONE
            if nth < wanted.count:
                break
            request, wanted, nth, start = request + 1, None, 0, 0
        if wanted.count - nth > MOST_RESULTS - len(self._placing.results[claim]):
            return Found.TOO_MANY
        self._stack.append(DeviceFrame(claim, request, wanted, nth, start))
        return None

    def _next(self, frame: Frame) -> Found | None:
        """Tries the frame's next alternative."""
        if isinstance(frame, DeviceFrame):
            return self._next_device(frame) if frame.wanted.every is None else self._next_of_all(frame)
        if isinstance(frame, ClaimFrame):
            return Found.NONE
        frame.at += 1
        alternatives = self._wanted[frame.claim][frame.request]
        if frame.at < len(alternatives):
            return self._enter(frame.claim, frame.request, alternatives[frame.at], 0, 0)
        self._stack.pop()
        return Found.TOO_MANY if frame.only_too_many else Found.NONE

    def _next_device(self, frame: DeviceFrame) -> Found | None:
        wanted, placing = frame.wanted, self._placing
        fits, busy = wanted.fits, placing.busy
        mask = 1 << frame.claim if wanted.admin else -1
        for index in range(frame.at, len(fits)):
            if busy[index] & mask or fits[index] == REFUSED:
                continue
            if fits[index] != FITS and not wanted.judge(index):
                continue
            if placing.place(frame.claim, wanted, index):
                frame.at = index + 1
                start = index + 1 if self._combinations else 0
                return self._enter(frame.claim, frame.request, wanted, frame.nth + 1, start)
        self._stack.pop()
        return Found.NONE

    def _next_of_all(self, frame: DeviceFrame) -> Found | None:
        every = frame.wanted.every or []
        if frame.at < 0 or not self._placing.place_exactly(frame.claim, frame.wanted, every[frame.nth]):
            self._stack.pop()
            return Found.NONE
        frame.at = -1
        return self._enter(frame.claim, frame.request, frame.wanted, frame.nth + 1, 0)

    def _return(self, frame: Frame, found: Found) -> Found | None:
        """Gives the answer of what was tried to the frame that tried it; None to try the next."""
        if isinstance(frame, ClaimFrame):
            self._stack.pop()
            return Found.NONE
        if isinstance(frame, ChoiceFrame):
            frame.only_too_many &= found is Found.TOO_MANY
            return None
        self._placing.take_back(frame.claim)
        if found is Found.TOO_MANY or frame.at < 0 or self._is_hopeless(frame):
            self._stack.pop()
            return found
        return None

    def _is_hopeless(self, frame: DeviceFrame) -> bool:
        """Whether fewer devices are left than are needed, by counting alone.

        Upstream would look at every one of them before it gives up, so looking here meets the same errors.
        """
        wanted, placing = frame.wanted, self._placing
        if not self._pruned or placing.may_fail(wanted):
            return False
        need = wanted.count - frame.nth
        fits, busy = wanted.fits, placing.busy
        mask = 1 << frame.claim if wanted.admin else -1
        for index in range(frame.at if self._combinations else 0, len(fits)):
            if busy[index] & mask or fits[index] == REFUSED or not (fits[index] == FITS or wanted.judge(index)):
                continue
            if placing.place(frame.claim, wanted, index):
                placing.take_back(frame.claim)
                need -= 1
                if need == 0:
                    return False
        return True

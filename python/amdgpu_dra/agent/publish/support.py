"""Whether the cluster keeps shared counters; found out before anything with counters is published."""

from dataclasses import dataclass

from amdgpu_dra.agent.ports import SliceApi
from amdgpu_dra.api.reasons import Reason
from amdgpu_dra.core.slices import find_dropped, find_too_old, probe_slices


@dataclass(frozen=True, slots=True, kw_only=True)
class Support:
    """The answer. `reason` and `detail` say why not, and are empty if counters are kept."""

    counters: bool
    reason: str = ""
    detail: str = ""


async def find_support(api: SliceApi, *, node: str, node_uid: str) -> Support:
    """Asks by version and by a dry run of a slice of counters and one of a device that takes of them.

    Raises:
        NotReadyError: the server cannot be asked; that is no answer.
    """
    too_old = find_too_old(await api.get_version())
    if too_old is not None:
        return _no(too_old)
    for item in probe_slices(node=node, node_uid=node_uid):
        stored = await api.try_slice(item)
        dropped = "the API server finds it invalid" if stored is None else find_dropped(item, stored)
        if dropped is not None:
            return _no(f"in a trial of a ResourceSlice {dropped}: the feature gate DRAPartitionableDevices is off?")
    return Support(counters=True)


def _no(detail: str) -> Support:
    return Support(counters=False, reason=Reason.NO_COUNTERS, detail=detail)

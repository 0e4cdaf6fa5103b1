"""Which layout a node offers, and why."""

import pytest

from amdgpu_dra.agent.publish import Publisher, Support
from amdgpu_dra.apps.kubelet_plugin.flags import parse_flags
from amdgpu_dra.apps.kubelet_plugin.offer import Offer
from amdgpu_dra.core.devices import AMD_NAMES, STATIC, Layout
from amdgpu_dra.core.gpu import Gpu, Inventory, PciAddress
from amdgpu_dra.testing.fakes import FakeClock, FakeSlices

ON = "--feature-gates=DynamicPartitioning=true"
YES, NO = Support(counters=True), Support(counters=False, reason="NoCounters", detail="the gate is off")


@pytest.mark.parametrize(
    ("flags", "newer", "support", "dynamic", "reason"),
    [
        ([], True, YES, False, ""),
        ([ON], True, YES, True, ""),
        ([ON], True, NO, False, "NoCounters"),
        ([ON], True, None, False, ""),
        ([ON], False, YES, False, "NoPerGpuConfig"),
        ([ON, "--repartition=per-gpu"], False, YES, True, ""),
        ([ON, "--repartition=off"], True, YES, False, "RepartitionOff"),
    ],
    ids=["gate-off", "all-can", "no-counters", "not-asked-yet", "old-kernel", "old-kernel-forced", "off"],
)
def test_the_layout_is_dynamic_where_flags_kernel_and_cluster_allow_it(
    flags: list[str], support: Support | None, reason: str, *, newer: bool, dynamic: bool
) -> None:
    """Else it is static, and says why unless nobody has asked for more."""
    options = parse_flags(["--node-name=n", *flags], {}, "1")
    publisher = Publisher(FakeSlices(), FakeClock(), node="n")
    publisher.support = support
    offer = Offer(options, publisher)
    layout = offer.layout(Inventory(gpus=(Gpu(address=PciAddress(0, 5, 0), per_gpu_config=newer),)))

    assert layout == (Layout(dynamic=True) if dynamic else STATIC)
    assert (offer.reason, bool(offer.detail)) == (reason, bool(reason))


def test_names_are_those_of_the_flag() -> None:
    """In the static layout, which alone can have AMD's."""
    options = parse_flags(["--node-name=n", "--device-names=amd"], {}, "1")
    layout = Offer(options, Publisher(FakeSlices(), FakeClock(), node="n")).layout(Inventory(gpus=()))

    assert layout == Layout(names=AMD_NAMES)

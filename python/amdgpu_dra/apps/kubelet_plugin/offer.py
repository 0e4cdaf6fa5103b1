"""Which layout a node offers: what exists now, or every partition of every mode for the scheduler to choose."""

import logging

from amdgpu_dra.agent.publish import Publisher
from amdgpu_dra.api.logs import facts
from amdgpu_dra.apps.kubelet_plugin.flags import Options
from amdgpu_dra.core.devices import STATIC, Layout
from amdgpu_dra.core.gpu import Inventory
from amdgpu_dra.core.partition import choose_repartition

_LOG = logging.getLogger("plugin")


class Offer:
    """Chooses the layout from the flags, the kernel and the cluster.

    Attributes:
        reason, detail: why a node with the gate on has its static layout; empty if it has not, or while the cluster has
            not been asked. Logs, Events and metrics tell the same.
    """

    def __init__(self, options: Options, publisher: Publisher) -> None:
        self._options, self._publisher = options, publisher
        self.reason = self.detail = ""

    def layout(self, inventory: Inventory) -> Layout:
        """The layout for this inventory, now."""
        if not self._options.dynamic_partitioning:
            return Layout(names=self._options.device_names)
        choice = choose_repartition(self._options.repartition, inventory)
        support = self._publisher.support
        reason, detail = choice.reason, choice.detail
        if choice.per_gpu and support is not None:
            reason, detail = support.reason, support.detail
        if reason and (reason, detail) != (self.reason, self.detail):
            _LOG.warning("the partitions of now are published: %s", detail, extra=facts(reason=reason))
        self.reason, self.detail = reason, detail
        dynamic = choice.per_gpu and support is not None and support.counters
        return Layout(dynamic=True) if dynamic else STATIC

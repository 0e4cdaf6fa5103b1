"""What ends an allocation other than an answer."""


class AllocationError(Exception):
    """Upstream's fatal error: the attempt ends on every node, unless `node_local`."""

    def __init__(self, text: str, *, node_local: bool = False) -> None:
        super().__init__(text)
        self.text, self.node_local = text, node_local


class StepLimitError(Exception):
    """The search was ended by its limit."""

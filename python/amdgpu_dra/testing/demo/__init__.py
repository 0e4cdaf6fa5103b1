"""The driver without a cluster: `./bazelw run //:demo`."""

__all__: list[str] = []

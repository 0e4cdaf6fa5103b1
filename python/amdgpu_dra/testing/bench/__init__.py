"""The figures of the driver: `./bazelw run //:bench`."""

__all__: list[str] = []

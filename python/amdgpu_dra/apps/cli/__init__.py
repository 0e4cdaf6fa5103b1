"""The program for people: `conformance allocator FILE…`, `conformance cel FILE…`."""

__all__: list[str] = []

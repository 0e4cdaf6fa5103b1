"""The program for people: `explain --claim FILE --slices FILE`, `conformance allocator|cel FILE…`."""

__all__: list[str] = []

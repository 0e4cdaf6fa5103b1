"""The only code that touches kernel, disk, sockets, clock and API server."""

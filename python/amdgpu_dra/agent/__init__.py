"""Asynchronous procedures over the ports; no concrete input or output."""

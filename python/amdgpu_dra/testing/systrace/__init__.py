"""Runs a process and sees from outside what it does to files, sockets and servers: every system call that changes them.

A filter in the kernel stops the process at those calls and at no others, so that it runs nearly as fast as ever. It can
be killed before or after any of them.
"""

from amdgpu_dra.testing.systrace.calls import MACHINE
from amdgpu_dra.testing.systrace.control import AFTER, BEFORE, Control, Order, Point, Seen

__all__ = ["AFTER", "BEFORE", "MACHINE", "Control", "Order", "Point", "Seen"]

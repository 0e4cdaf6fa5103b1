"""Events: what users shall see beside a node or a claim, told once and never in the way of the work.

Knows what is told again too soon, and what is too much. Refuses to know how an Event is written.
"""

from amdgpu_dra.agent.events.queue import EventQueue

__all__ = ["EventQueue"]

"""When to try again: later each time, at random, and never before the server said.

Refuses to know what is tried.
"""

from amdgpu_dra.agent.retry.backoff import Backoff

__all__ = ["Backoff"]

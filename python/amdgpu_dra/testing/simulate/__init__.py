"""Plays random arrivals and departures of requests on a few nodes: how often fragmentation blocks a whole GPU.

Knows a first fit over counters, as the scheduler does it. Refuses to know selectors, claims and the other parts of it.
"""

from amdgpu_dra.testing.simulate.play import Outcome, Request, draw_requests, play
from amdgpu_dra.testing.simulate.pool import Pool, naive_order, our_order

__all__ = ["Outcome", "Pool", "Request", "draw_requests", "naive_order", "our_order", "play"]

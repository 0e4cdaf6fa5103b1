"""Fakes, strategies, the other sides of our protocols. Never part of a product."""

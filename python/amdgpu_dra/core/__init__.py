"""Decisions. Pure: no clock, disk, environment, network, log or randomness."""

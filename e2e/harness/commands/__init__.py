"""What a newcomer runs: a cluster with fake GPUs, our images and the driver in it, scenarios on it, and its end."""

from harness.commands.cli import main

__all__ = ["main"]

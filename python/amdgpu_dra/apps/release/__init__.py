"""The program that makes releases: pushes images and what is said of them, packs and pushes the chart."""

from amdgpu_dra.apps.release.main import main

__all__ = ["main"]

"""The admission webhook, and the maker of its certificate."""

from amdgpu_dra.apps.webhook.main import main

__all__ = ["main"]

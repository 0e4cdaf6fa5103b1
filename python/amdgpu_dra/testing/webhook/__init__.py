"""The webhook as a process of its own, with a certificate made for it."""

from amdgpu_dra.testing.webhook.process import WebhookProcess, webhook_process

__all__ = ["WebhookProcess", "webhook_process"]

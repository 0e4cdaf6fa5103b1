"""What a review costs the webhook: the real process, over TLS, with connections that stay as the API server's do."""

__all__: list[str] = []

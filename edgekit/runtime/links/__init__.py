"""Links between stages: frames, credits, replay, heartbeats, TLS, and the transports that carry them."""

__all__: list[str] = []

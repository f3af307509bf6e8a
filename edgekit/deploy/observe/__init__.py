"""What a running pipeline does: status, certification, recordings, clocks."""

__all__: list[str] = []

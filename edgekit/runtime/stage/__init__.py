"""A stage process: its links, its frames, its counters, and the measurements of one segment."""

__all__: list[str] = []

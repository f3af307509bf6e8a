"""The client of a pipeline: source of inputs, sink of results."""

__all__: list[str] = []

"""The stages of a plan and their artifacts: what an engine loads, the composed run, and equality."""

__all__: list[str] = []

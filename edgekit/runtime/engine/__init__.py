"""Engines run a segment: onnxruntime with its providers, or one of your own."""

__all__: list[str] = []

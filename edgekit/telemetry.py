"""Declines what libraries would report to their makers: models on people's devices are nobody else's business."""

import os

__all__ = ["decline"]


def decline() -> None:
    """Call before onnxruntime is imported: from 1.31 on, its Linux builds send usage data unless told not to."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

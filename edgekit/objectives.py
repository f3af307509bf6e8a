"""What plans are judged by."""

from typing import Literal

__all__ = ["OBJECTIVES", "USUAL", "Objective"]

Objective = Literal["latency", "period", "memory", "energy", "loss", "devices"]

OBJECTIVES: tuple[Objective, ...] = ("latency", "period", "memory", "energy", "loss", "devices")
"""Quantities to minimise: seconds of a frame alone, seconds per frame in a full pipeline, peak bytes of a host, joules
per frame, accuracy lost, devices used."""

USUAL: tuple[Objective, ...] = ("latency", "period")
"""What is minimised where nothing else is asked for; memory is a limit."""

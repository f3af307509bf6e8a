"""Quantized ONNX → Program: the integer operators of a microcontroller."""

from devices.mcu.compiler.segment import compile_segment

__all__ = ["compile_segment"]

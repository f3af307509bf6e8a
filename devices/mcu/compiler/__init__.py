"""Quantized ONNX → Program: the integer operators of a microcontroller."""

from devices.mcu.compiler.segment import Part, compile_parts, compile_segment

__all__ = ["Part", "compile_parts", "compile_segment"]

"""Brings plans to devices, keeps a record of them, replaces them, and fails over."""

__all__: list[str] = []

"""Measurements on a device: kernels, segments, codecs, tuning."""

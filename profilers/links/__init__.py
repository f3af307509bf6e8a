"""Measures links and fits their latency and rate."""

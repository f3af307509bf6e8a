"""torch RPC as a carrier of links, which benchmarks/transport.py measures: one more entry of ``TRANSPORTS``."""

"""How gRPC is told to behave on a link."""

from edgekit.runtime.links.greeting import BUFFER_BYTES
from edgekit.runtime.links.rpc.stream import PIECE_BYTES

__all__ = ["BOTH", "METHOD", "SERVICE", "address_of", "target_of"]

SERVICE, METHOD = "edgekit.Link", "Carry"

BOTH = (
    ("grpc.max_receive_message_length", PIECE_BYTES),
    ("grpc.http2.max_frame_size", PIECE_BYTES),  # else a message is taken apart into frames of 16 KiB
    ("grpc.http2.lookahead_bytes", BUFFER_BYTES),
)
"""What holds at both ends; pings of HTTP/2 are left alone, as links have their own."""


def target_of(host: str, port: int) -> str:
    """An address as gRPC dials it.

    >>> target_of("10.0.0.4", 5000), target_of("pi.local", 5000)
    ('ipv4:10.0.0.4:5000', 'dns:///pi.local:5000')
    """
    if ":" in host:
        return f"ipv6:[{host}]:{port}"
    return f"ipv4:{host}:{port}" if host.replace(".", "").isdecimal() else f"dns:///{host}:{port}"


def address_of(host: str, port: int) -> str:
    """An address as gRPC listens on it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

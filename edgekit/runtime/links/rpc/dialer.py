"""The end of a link that dials over gRPC: a channel of its own for each connection, and one call on it."""

import contextlib
import socket
import threading
import time

import grpc
import msgspec

from edgekit.errors import DeviceError
from edgekit.runtime.links.frames import Kind
from edgekit.runtime.links.greeting import Door, Hello, Refused, decode_standing
from edgekit.runtime.links.link import Standing
from edgekit.runtime.links.rpc.channel_options import BOTH, METHOD, SERVICE, target_of
from edgekit.runtime.links.rpc.stream import RpcLine
from edgekit.runtime.links.tls import host_name

__all__ = ["dial"]


def dial(door: Door, hello: Hello, who: str, within_s: float) -> tuple[RpcLine, Standing]:
    """As ``wire.dial``; whoever listens has to be called by the name in ``door``, which gRPC compares with the certificate shown."""
    channel = _channel(door)
    names = None if door.guard is None else (door.name,)
    line = RpcLine(_here(door), names, channel.close)
    try:
        line.say(Kind.HELLO, msgspec.msgpack.encode(hello))
        carry: grpc.StreamStreamMultiCallable[bytes, bytes] = channel.stream_stream(f"/{SERVICE}/{METHOD}")
        threading.Thread(target=line.read, args=(carry(line),), name="reading", daemon=True).start()
        kind, note = line.hear(time.monotonic() + within_s)
        if kind is not Kind.WELCOME:
            raise Refused(f"{who} refused the link: {note.decode(errors='replace')}")
        return line, decode_standing(note)
    except ConnectionRefusedError as error:
        line.close()
        raise Refused(f"{who} cannot be reached at {door.host}:{door.port} ({error}); is it running, and is the port open?") from error
    except (OSError, msgspec.DecodeError) as error:
        line.close()
        raise DeviceError(f"{who} at {door.host}:{door.port} did not answer the greeting ({error}); is it running?") from error
    except BaseException:
        line.close()
        raise


def _channel(door: Door) -> grpc.Channel:
    options = (
        *BOTH,
        ("grpc.use_local_subchannel_pool", 1),  # else it would wait with those who could not be reached before
        ("grpc.enable_http_proxy", 0),
        ("grpc.enable_retries", 0),
        ("grpc.service_config_disable_resolution", 1),
    )
    target = target_of(door.host, door.port)
    if door.guard is None:
        return grpc.insecure_channel(target, options)
    keys = door.guard.keys
    credentials = grpc.ssl_channel_credentials(keys.authority.encode(), keys.key.encode(), keys.certificate.encode())
    return grpc.secure_channel(target, credentials, (*options, ("grpc.ssl_target_name_override", host_name(door.name))))


def _here(door: Door) -> str:
    """The address of this machine on the way there, as the system would choose it; nothing is sent."""
    with contextlib.suppress(OSError):
        kind, *_, address = socket.getaddrinfo(door.host, door.port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(kind, socket.SOCK_DGRAM) as sock:
            sock.connect(address)
            return str(sock.getsockname()[0])
    return ""

"""The RPC agent of this process: in a group of its own, to which those are added that it calls.

    caller's agent ── calls ──▶ listener's agent          one address a process, at a port that the system chooses
          └─ knows each peer by a number                  calls nobody, knows nobody

torch's own groups share one store: who joins or leaves tells all the others, and waits for ever where one of them was killed. So no
store is shared here. A process that was started anew is another peer; so is one that could not be reached, as its connection,
which TensorPipe keeps under its number, stays broken.
"""

import atexit
import fcntl
import os
import secrets
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch.distributed.autograd
from torch.distributed import rpc

from edgekit.errors import DeviceError
from edgekit.runtime.links.sockets import LOOPBACK

__all__ = ["Agent", "agent"]

INTERFACE = "TP_SOCKET_IFNAME"

THREADS = 4
"""Those that calls are answered on, which does not take long."""

MOST_PEERS = 2**15 - 1
"""Numbers that torch has for them."""

SIOCGIFADDR = 0x8915

_lock = threading.Lock()
_agents: list["Agent"] = []


def agent(host: str | None = None) -> "Agent":
    """The agent of this process, which listens on ``host``; started if there is none. One that only calls may be anywhere.

    Raises:
        DeviceError: it listens elsewhere already, or cannot be started.
    """
    with _lock:
        if not _agents:
            _agents.append(Agent(host or LOOPBACK))
            atexit.register(rpc.shutdown, graceful=False)
        here = _agents[0].host
        if host not in (None, here):
            raise DeviceError(f"torch RPC has one address in a process, which is {here} already, not {host}")
        return _agents[0]


class Agent:
    """A TensorPipe agent that listens on an address of this machine, over TCP as between machines."""

    def __init__(self, host: str):
        if not rpc.is_available():
            raise DeviceError("torch here is built without torch.distributed.rpc")
        if rpc.api._is_current_rpc_agent_set():
            raise DeviceError("this process uses torch RPC itself, which has one agent in a process")
        self.host, self.name = host, secrets.token_hex(8)
        self._store = torch.distributed.HashStore()
        self._peers: dict[str, str] = {}
        self._count = 0
        self._lock = threading.Lock()
        options = rpc.TensorPipeRpcBackendOptions(num_worker_threads=THREADS, _transports=["uv"], _channels=["basic"])
        torch.distributed.autograd._init(0)
        with _listening_on(_interface(host)):
            self._agent = rpc.TensorPipeAgent(self._store, self.name, 0, None, options, {}, [])
            rpc.api._init_rpc_states(self._agent)
        self.url = self._store.get(f"addrs/{self.name}").decode()
        if not self.url.startswith(f"uv://{host}:"):
            rpc.shutdown(graceful=False)
            raise DeviceError(f"torch RPC listens on {self.url}, expected {host}; give an IPv4 address of this machine")

    def peer(self, url: str) -> str:
        """What the agent that listens there is called in calls.

        Raises:
            DeviceError: there were too many.
        """
        with self._lock:
            if url not in self._peers:
                if self._count == MOST_PEERS:
                    raise DeviceError(f"torch RPC has no more than {MOST_PEERS} connections in a process; start it anew")
                self._count += 1
                name = f"{self.name}-{self._count}"
                self._store.set(f"addrs/{name}", url)
                self._agent._update_group_membership(rpc.WorkerInfo(name, self._count), [], {}, True)
                self._peers[url] = name
            return self._peers[url]

    def forget(self, url: str, name: str) -> None:
        """A call to it has failed: it is met anew, if it is still there."""
        with self._lock:
            if self._peers.get(url) == name:
                del self._peers[url]


@contextmanager
def _listening_on(interface: str) -> Iterator[None]:
    """Let TensorPipe listen there, as its environment tells it."""
    before = os.environ.get(INTERFACE)
    os.environ[INTERFACE] = interface
    try:
        yield
    finally:
        del os.environ[INTERFACE]
        if before is not None:
            os.environ[INTERFACE] = before


def _interface(host: str) -> str:
    """The network interface that has an address.

    Raises:
        DeviceError: none has.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            try:
                found = fcntl.ioctl(sock, SIOCGIFADDR, struct.pack("256s", name.encode()))[20:24]
            except OSError:  # it has no address
                continue
            if socket.inet_ntoa(found) == host:
                return name
    raise DeviceError(f"torch RPC cannot listen on {host}; give the IPv4 address of one of its interfaces")

"""What can go wrong, split by who can act on it.

    EdgekitError
    ├── UsageError          you: an argument, a file or a frame does not fit          exit code 2
    │   ├── FormatError         a file of ours that cannot be read: damaged, foreign, too new
    │   ├── GraphError          the network: not ONNX, an unknown operator, a shape that is not fixed
    │   ├── FrameError          an input: wrong names, shape or type
    │   └── PlanError           a plan that does not fit its graph or cluster, or cannot exist
    ├── DeviceError         a device: it does not start, runs out of memory, goes away   exit code 3
    │   ├── StageError          one stage failed, on one frame or for good
    │   │   └── DeadlineError       a frame whose result was not there in time
    │   └── ProtocolError       a peer sent bytes that are not ours
    └── PromiseError        edgekit: split and unsplit differ, a certified bound is missed   exit code 1

A message says what was expected, what came, and what to do next.
"""

__all__ = [
    "DeadlineError",
    "DeviceError",
    "EdgekitError",
    "FormatError",
    "FrameError",
    "GraphError",
    "PlanError",
    "PromiseError",
    "ProtocolError",
    "StageError",
    "UsageError",
]


class EdgekitError(Exception):
    """Base of every error that edgekit raises on purpose."""

    exit_code = 1


class UsageError(EdgekitError):
    """An argument, a file or an environment that the user can put right."""

    exit_code = 2


class FormatError(UsageError):
    """A file that is damaged, of another kind, or written by a newer edgekit."""


class GraphError(UsageError):
    """A network that cannot be read, fixed in shape, or cut where it was asked."""


class FrameError(UsageError):
    """An input whose names, shapes or types are not those of the graph."""


class PlanError(UsageError):
    """A plan that does not fit its graph or cluster, or constraints that no plan meets."""


class DeviceError(EdgekitError):
    """A device that does not start, refuses a stage, or goes away."""

    exit_code = 3


class StageError(DeviceError):
    """A stage that failed; carries which one, where, and on which frame (None: for good)."""

    def __init__(self, message: str, *, stage: str = "", frame: int | None = None):
        super().__init__(message)
        self.stage = stage
        self.frame = frame


class DeadlineError(StageError):
    """A frame that had no result by its deadline; what comes of it later is discarded."""


class ProtocolError(DeviceError):
    """Bytes from a peer that do not follow the protocol; the connection is closed."""


class PromiseError(EdgekitError):
    """A promise that was checked and missed: equality with the unsplit run, or a certified bound."""

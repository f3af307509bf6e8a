"""Networks to deploy, one file each, written in torch from their papers; untrained until a checkpoint is loaded.

Every factory returns a module in eval mode with the same weights at each call. The module's ``input_shape`` is the
shape that an export takes where none is asked for. Parameters bear the names of the usual checkpoints.

Raises:
    UsageError: torch is not installed.
"""

from importlib.util import find_spec

from edgekit.errors import UsageError

__all__: list[str] = []

if find_spec("torch") is None:
    raise UsageError("edgekit.networks: expected torch, got no such package; pip install 'edgekit[torch]'")

"""The window of a pooling operator: what no tensor's shape tells."""

from edgekit.onnxio.file_bytes import Model

__all__ = ["window"]


def window(model: Model, node: str) -> tuple[int, ...]:
    """The sides of a node's window, () where it has none or its weight tells them."""
    found = model.nodes[node]
    if found.op_type.endswith("Pool"):
        for attribute in found.attribute:
            if attribute.name == "kernel_shape":
                return tuple(attribute.ints)
    return ()

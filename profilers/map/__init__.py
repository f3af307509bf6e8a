"""Maps the kernels of a device to units of the graph."""

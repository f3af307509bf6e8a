"""Where a graph can be cut: a chain of units, or a lattice of down-sets."""

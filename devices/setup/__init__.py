"""Makes a machine ready over SSH, step by step, and undoes it."""

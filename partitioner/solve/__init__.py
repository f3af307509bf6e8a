"""Exact solvers: label setting with bounds and dominance."""

"""Predicts the profile of a machine that is not at hand."""

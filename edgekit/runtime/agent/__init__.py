"""The agent of a device: it keeps files, starts stage processes and answers the verbs."""

__all__: list[str] = []

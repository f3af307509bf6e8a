"""What a network loses in another precision or codec: output errors, channel ranges, culprits."""

__all__: list[str] = []

"""What a network loses in another precision or codec: judges, measured losses, output errors, channel ranges, culprits."""

__all__: list[str] = []

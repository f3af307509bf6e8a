"""What ships to a device: the agent, the stage process, frames and links. Imports the nouns and nothing else of ours."""

__all__: list[str] = []

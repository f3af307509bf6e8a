"""Every test of a line is watched for what it leaves behind."""

from tests.runtime.conftest import nothing_is_left

__all__ = ["nothing_is_left"]

"""Every test of a device is watched for what it leaves behind."""

from tests.runtime.conftest import nothing_is_left

__all__ = ["nothing_is_left"]

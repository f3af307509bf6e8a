"""The profiles of one graph on several devices, and the folder of files that holds them."""

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import overload

from msgspec import Struct

from edgekit.device import Variant
from edgekit.errors import UsageError
from edgekit.files import read, write
from edgekit.profile import Profile

__all__ = ["Profiles", "keep_profile", "read_profiles"]


class Profiles(Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Profiles of one graph: of each device one, or one for each variant that it was measured in.

    Iteration gives the profiles; ``"pi" in profiles`` asks for a device.
    """

    each: tuple[Profile, ...] = ()

    def __post_init__(self) -> None:
        for device, found in self._by_device.items():
            if len({profile.variant for profile in found}) < len(found):
                taken = " and ".join(str(profile.variant) for profile in found)
                raise UsageError(f"expected one profile of {device} in each variant, got {taken}; leave one out")

    @cached_property
    def _by_device(self) -> dict[str, tuple[Profile, ...]]:
        found: dict[str, tuple[Profile, ...]] = {}
        for profile in self.each:
            found[profile.device] = (*found.get(profile.device, ()), profile)
        return found

    @property
    def devices(self) -> tuple[str, ...]:
        """The names of all devices that have a profile."""
        return tuple(self._by_device)

    @overload
    def of(self, device: str) -> tuple[Profile, ...]: ...
    @overload
    def of(self, device: str, variant: Variant) -> Profile: ...
    def of(self, device: str, variant: Variant | None = None) -> tuple[Profile, ...] | Profile:
        """All profiles of a device, none where it has not been profiled; or the one in a variant.

        Raises:
            UsageError: there is none in that variant.
        """
        found = self._by_device.get(device, ())
        if variant is None:
            return found
        for profile in found:
            if profile.variant == variant:
                return profile
        taken = " and ".join(str(profile.variant) for profile in found) or "nothing"
        raise UsageError(f"expected a profile of {device} as {variant}, got one as {taken}; profile it so")

    def add(self, *profiles: Profile) -> "Profiles":
        """These profiles and others, which replace those of the same device and variant."""
        found = {(profile.device, profile.variant): profile for profile in (*self.each, *profiles)}
        return Profiles(tuple(found.values()))

    def __getitem__(self, device: str) -> Profile:
        """The profile of a device that has just one.

        Raises:
            UsageError: it has none, or several.
        """
        found = self.of(device)
        if len(found) != 1:
            given = " and ".join(str(profile.variant) for profile in found) or f"none, only of {', '.join(self.devices) or 'nothing'}"
            raise UsageError(f"expected one profile of {device}, got {given}; use profiles.of({device!r}, variant)")
        return found[0]

    def __contains__(self, device: object) -> bool:
        return device in self._by_device

    def __iter__(self) -> Iterator[Profile]:
        return iter(self.each)

    def __len__(self) -> int:
        return len(self.each)

    def __repr__(self) -> str:
        """One line for each profile."""
        return "\n".join(map(repr, self.each)) or "<no profiles>"


def keep_profile(folder: Path, profile: Profile) -> None:
    """Write a profile as ``DEVICE.profile.json``, that of a twin with its precision in the name."""
    device = profile.device.replace("/", "_")
    if not profile.twin:
        for path in folder.glob(f"{device}.*.profile.json"):  # of a network that is no longer asked for
            if (before := read(path, Profile)).twin and before.graph != profile.graph and before.device == profile.device:
                path.unlink()
    write(folder / f"{device}{'.' * bool(profile.twin)}{_seat(profile)}.profile.json", profile)  # the file itself says which


def read_profiles(folder: Path) -> Profiles:
    """Read all profiles in a folder; the result is empty where the folder holds no profile.

    Raises:
        UsageError: there are two of one device in one precision.
    """
    found: dict[tuple[str, str], Profile] = {}
    for path in sorted(folder.glob("*.profile.json"), key=lambda path: (len(path.name), path.name)):
        profile = read(path, Profile)
        if (profile.device, _seat(profile)) in found:
            raise UsageError(f"{path} is a second profile of {profile.device}; keep one of them in {folder}")
        found[profile.device, _seat(profile)] = profile
    return Profiles(tuple(found.values()))


def _seat(profile: Profile) -> str:
    """Which of the profiles of a device it is: the network's own, or of a twin in this precision."""
    return profile.variant.precision if profile.twin else ""

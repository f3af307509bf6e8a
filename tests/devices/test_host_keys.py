"""Which keys of hosts are trusted."""

from pathlib import Path

import paramiko
import pytest

from devices.host_keys import fingerprint, kinds, ours, remember, require_known
from devices.ssh_config import Hop
from edgekit.errors import DeviceError

KEY, OTHER = paramiko.ECDSAKey.generate(), paramiko.ECDSAKey.generate()
PI = Hop("pi.local", 22, "pi", ())
BEHIND = Hop("pi.local", 2222, "pi", ())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def known(home: Path, names: str, key: paramiko.PKey = KEY) -> None:
    with (home / ".ssh" / "known_hosts").open("a") as file:
        file.write(f"{names} {key.get_name()} {key.get_base64()}\n")


def test_an_unknown_key_is_refused_with_what_to_do() -> None:
    with pytest.raises(DeviceError) as caught:
        require_known(BEHIND, KEY)
    said = str(caught.value)
    assert said.startswith(f"[pi.local]:2222 is not known yet; its key is {fingerprint(KEY)}.")
    assert said.endswith("run: edgekit devices add NAME ssh://pi@pi.local:2222")


def test_a_remembered_key_is_known_from_then_on(home: Path) -> None:
    remember(BEHIND, KEY)
    require_known(BEHIND, KEY)
    assert ours() == home / "config" / "edgekit" / "known_hosts"
    assert kinds(BEHIND) == ["ecdsa-sha2-nistp256"]
    with pytest.raises(DeviceError, match="is not known yet"):
        require_known(PI, KEY)


HASHED = pytest.param(paramiko.HostKeys.hash_host("pi.local"), id="hashed")  # with another salt each time
HASHED_OTHER = pytest.param(paramiko.HostKeys.hash_host("pi"), id="another, hashed")


@pytest.mark.parametrize("names", ["pi.local", "other,pi.local", "*.local", "pi.loca?", HASHED])
def test_what_the_user_trusts_is_trusted(home: Path, names: str) -> None:
    known(home, names)
    require_known(PI, KEY)


@pytest.mark.parametrize("names", ["!pi.local,*.local", "pi.example", "[pi.local]:2222", HASHED_OTHER])
def test_entries_about_others_say_nothing(home: Path, names: str) -> None:
    known(home, names)
    with pytest.raises(DeviceError, match="is not known yet"):
        require_known(PI, KEY)


def test_a_changed_key_is_fatal_and_both_are_told(home: Path) -> None:
    remember(PI, KEY)
    with pytest.raises(DeviceError) as caught:
        require_known(PI, OTHER)
    said = str(caught.value)
    assert f"the key of pi.local has changed: expected {fingerprint(KEY)} (in {ours()}), got {fingerprint(OTHER)}." in said
    assert f"ssh-keygen -R 'pi.local' -f {ours()}" in said


def test_a_host_may_have_several_keys(home: Path) -> None:
    known(home, "pi.local")
    known(home, "pi.local", OTHER)
    require_known(PI, KEY)
    require_known(PI, OTHER)


def test_a_revoked_key_is_refused_also_where_it_is_trusted(home: Path) -> None:
    known(home, "pi.local")
    known(home, "@revoked *")
    with pytest.raises(DeviceError, match="which was revoked; do not connect"):
        require_known(PI, KEY)


def test_lines_that_are_not_understood_are_passed_over(home: Path) -> None:
    (home / ".ssh" / "known_hosts").write_text("# mine\n\npi.local\npi.local ssh-ed25519 AAAA\n@cert-authority * ssh-rsa AAAA\n\x00\xff\n")
    known(home, "pi.local")
    require_known(PI, KEY)

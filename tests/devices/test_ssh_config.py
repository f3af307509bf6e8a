"""From an address to the hops that lead there."""

from pathlib import Path

import pytest

from devices.ssh_config import Hop, route
from edgekit.errors import UsageError


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("getpass.getuser", lambda: "ada")
    (tmp_path / ".ssh").mkdir()
    return tmp_path


def configured(home: Path, text: str, name: str = "config") -> None:
    (home / ".ssh" / name).write_text(text)


def ends(address: str) -> list[tuple[str, int, str]]:
    return [(hop.host, hop.port, hop.user) for hop in route(address)]


@pytest.mark.parametrize(
    ("address", "end"),
    [
        ("ssh://pi", ("pi", 22, "ada")),
        ("ssh://pi@raspberrypi.local", ("raspberrypi.local", 22, "pi")),
        ("ssh://pi@10.0.0.7:2222", ("10.0.0.7", 2222, "pi")),
        ("ssh://pi@[fe80::1]:2222/", ("fe80::1", 2222, "pi")),
    ],
)
def test_an_address_says_user_host_and_port(address: str, end: tuple[str, int, str]) -> None:
    assert ends(address) == [end]


def test_an_alias_is_filled_in_from_the_configuration(home: Path) -> None:
    configured(home, "Host pi*\n  HostName 10.0.0.7\n  User pi\n  Port 2222\n  IdentityFile ~/keys/lab\n  IdentitiesOnly yes\n")
    assert route("ssh://pi4") == (Hop("10.0.0.7", 2222, "pi", (str(home / "keys" / "lab"),), True),)
    assert ends("ssh://root@pi4:22") == [("10.0.0.7", 22, "root")]  # what the address says counts more


def test_a_host_may_be_known_by_another_name_than_its_address(home: Path) -> None:
    configured(home, "Host rover\n  HostName 10.0.0.7\n  Port 2222\n  HostKeyAlias rover.lab\n")
    assert [(hop.host, hop.port, hop.name) for hop in route("ssh://rover")] == [("10.0.0.7", 2222, "rover.lab")]
    assert route("ssh://other:2222")[-1].name == "[other]:2222"


def test_upper_case_is_kept_for_aliases(home: Path) -> None:
    configured(home, "Host LabPi\n  HostName 10.0.0.7\n")
    assert ends("ssh://LabPi") == [("10.0.0.7", 22, "ada")]


def test_match_blocks_count(home: Path) -> None:
    configured(home, "Match host pi,nano\n  User lab\nMatch originalhost far\n  Port 99\n")
    assert (ends("ssh://nano"), ends("ssh://far")) == ([("nano", 22, "lab")], [("far", 99, "ada")])


def test_included_files_count_within_their_block_only(home: Path) -> None:
    configured(home, "Host pi\n  Include boards/*.conf\n  User pi\nHost *\n  Port 2022\n")
    (home / ".ssh" / "boards").mkdir()
    configured(home, "HostName 10.0.0.1\nHost nano\n  User nano\n", "boards/a.conf")
    assert (ends("ssh://pi"), ends("ssh://nano")) == ([("10.0.0.1", 2022, "pi")], [("nano", 2022, "nano")])


COMMENTS = """Host rover # Ann's board
  HostName 10.0.0.7 # 219 on wifi
  User pi # default
  Port 2200 # forwarded
  IdentityFile ~/.ssh/lab # old
"""


@pytest.mark.xfail(strict=True, reason="a comment behind a value of ~/.ssh/config is not left out yet, as OpenSSH 8.5 leaves it out")
@pytest.mark.parametrize(
    ("text", "end"),
    [(COMMENTS, ("10.0.0.7", 2200, "pi")), ("Host rover\n  HostName 10.0.0.7 # 219 on wifi\n  User pi\n", ("10.0.0.7", 22, "pi"))],
)
def test_comments_behind_values_do_not_count(home: Path, text: str, end: tuple[str, int, str]) -> None:
    configured(home, text)
    assert ends("ssh://rover") == [end]


CRITERIA = {
    "host": "Match Host bastion,10.0.0.9\n HostName 10.0.0.9\n User root\n",
    "not localnetwork": "Match host pi !localnetwork 127.0.0.0/8\n ProxyJump far\n",  # this machine is in 127.0.0.0/8
    "localnetwork": "Match localnetwork 203.0.113.0/24\n ProxyJump far\n",
    "tagged": "Match tagged lab\n HostName 10.9.9.9\n",
}


@pytest.mark.xfail(strict=True, reason="a criterion of Match that is not understood counts as met for every host")
@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_criterion_of_match_that_is_not_met_counts_for_nobody(home: Path, criterion: str) -> None:
    configured(home, f"{CRITERIA[criterion]}Host pi\n HostName 10.0.0.3\n")
    try:
        assert [hop.host for hop in route("ssh://pi")] == ["10.0.0.3"]
    except UsageError as error:  # or it is refused by name, where the ssh client here is too old to know it
        assert criterion.split()[-1] in str(error).lower() and "leads in a circle" not in str(error)


@pytest.mark.xfail(strict=True, reason="an Include within the block of another host counts for every host that its file names")
def test_a_file_included_for_one_host_counts_for_no_other(home: Path) -> None:
    configured(home, "Host nano\n User n\n Include boards/*\nHost *\n User zoe\n")
    (home / ".ssh" / "boards").mkdir()
    configured(home, "Host pi\n HostName 10.1.1.1\n User root\n", "boards/a")
    assert ends("ssh://pi") == [("pi", 22, "zoe")]


CASE = pytest.mark.xfail(strict=True, reason="IdentitiesOnly is only understood as `yes` in lower case")


@pytest.mark.parametrize("word", ["yes", *(pytest.param(word, marks=CASE) for word in ("Yes", "true", "True"))])
def test_a_switch_is_on_by_any_word_that_openssh_takes(home: Path, word: str) -> None:
    configured(home, f"Host pi\n IdentitiesOnly {word}\n IdentityFile ~/.ssh/lab\n")
    assert route("ssh://pi")[-1].only


@pytest.mark.xfail(strict=True, reason="%% in HostName is not read as one % yet")
def test_a_link_local_address_is_written_with_two_percent_signs(home: Path) -> None:
    configured(home, "Host usb\n HostName fe80::2:3%%usb0\n")
    assert route("ssh://usb")[-1].host == "fe80::2:3%usb0"


def test_jumps_lead_through_the_hosts_that_are_named(home: Path) -> None:
    configured(home, "Host inner\n  ProxyJump gate,ben@middle:2200\nHost gate\n  HostName gate.example\n  ProxyJump outer\n")
    assert ends("ssh://inner") == [("outer", 22, "ada"), ("gate.example", 22, "ada"), ("middle", 2200, "ben"), ("inner", 22, "ada")]


def test_a_jump_can_be_called_off(home: Path) -> None:
    configured(home, "Host direct\n  ProxyJump none\nHost *\n  ProxyJump gate\nHost gate\n")
    assert ends("ssh://direct") == [("direct", 22, "ada")]


def test_a_proxy_command_is_run_instead_of_dialling(home: Path) -> None:
    configured(home, "Host odd\n  ProxyCommand nc %h %p\n")
    assert route("ssh://odd")[0].command == "nc odd 22"


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("Host a\n  ProxyJump b\nHost b\n  ProxyJump a\n", "ProxyJump of .* leads in a circle; see ssh -G"),
        ("Include config\n", "Include in .* leads in a circle; mend ~/.ssh/config"),
        ("Host a\n  Port many\n", "expected a number as Port of a in ~/.ssh/config, got 'many'"),
        ("nonsense\n", "~/.ssh/config cannot be read"),
    ],
)
def test_a_configuration_that_makes_no_sense_says_so(home: Path, config: str, said: str) -> None:
    configured(home, config)
    with pytest.raises(UsageError, match=said):
        route("ssh://a")


@pytest.mark.parametrize("address", ["ssh://", "ssh:pi", "ssh://pi:port", "ssh://pi:99999", "ssh://pi/folder", "ssh://pi?x=1", "ssh://@"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(UsageError, match="expected ssh://user@host:port, got"):
        route(address)


def test_a_password_in_an_address_is_refused() -> None:
    with pytest.raises(
        UsageError, match=r"an address holds no password: others could read it; use a key \(ssh-copy-id pi@board\)"
    ) as caught:
        route("ssh://pi:secret@board")
    assert "secret" not in str(caught.value)

"""What set-up says of a machine from what it found there: surprises, and stages that it would interrupt."""

from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest

from devices.setup.agent_file import agent_file
from devices.setup.procedure import Outcome, remove, setup
from devices.setup.requirements import choose
from edgekit.errors import DeviceError
from edgekit.machine import Machine

MACHINE = Machine("aarch64", 4, libc="glibc 2.36", system="Debian 12", python="3.11.2", user="pi")


def found(**service: object) -> dict[str, Any]:
    """A machine that is set up, with an agent that systemd keeps."""
    agent = agent_file()
    asked = choose(MACHINE, (3, 11))[0].asked
    kept = {"kind": "systemd", "ready": True, "boots": True, "reachable": True, "serving": []}
    return {
        "python": [3, 11],
        "home": "/home/pi",
        "writable": True,
        "free_bytes": 10**10,
        "venv": {"python": [3, 11], "packages": {}, "asked": asked},
        "agent": agent.digest,
        "pages": "",
        "wheels": {},
        "service": kept | {"greeting": [agent.version, agent.digest], "pages": "127.0.0.1:9464"} | service,
    }


def outcomes(patch: pytest.MonkeyPatch, there: dict[str, Any], **how: Any) -> dict[str, Outcome]:
    """Of every step, by its name; what would be done on the device is left out."""
    told: list[str] = []
    patch.setattr("devices.setup.procedure.tell_device", lambda shell, verb, *_: there)
    patch.setattr("devices.setup.steps.tell_device", lambda shell, verb, *_, **given: told.append(verb))
    patch.setattr("devices.setup.procedure.alone", lambda *_: nullcontext())
    made = {each.step: each for each in setup(SimpleNamespace(name="pi"), MACHINE, **how)}  # type: ignore[arg-type]
    there["told"] = told
    return made


def test_a_machine_that_is_as_it_should_be_says_where_its_metrics_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made = outcomes(monkeypatch, found())
    assert {each.state for each in made.values()} == {"ok"}
    assert made["service"].text == "systemd keeps the agent running and starts it after a boot; metrics at 127.0.0.1:9464"


@pytest.mark.parametrize(
    ("reachable", "remedy"),
    [(True, "sudo loginctl enable-linger pi"), (False, "install cron there (sudo apt install cron)")],
)
def test_an_agent_that_a_boot_ends_is_a_warning(monkeypatch: pytest.MonkeyPatch, reachable: bool, remedy: str) -> None:
    made = outcomes(monkeypatch, found(kind="daemon", boots=False, reachable=reachable))
    assert made["service"].state == "warning"
    assert f"it starts only at the next edgekit deploy; to change that: {remedy}, then set up again" in made["service"].text


def test_a_port_that_was_taken_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    made = outcomes(monkeypatch, found(pages="127.0.0.1:41001"))
    assert made["service"].state == "warning"
    assert made["service"].text.endswith("port 9464 was taken there; to have them at a port of your choice: --pages HOST:PORT")


def test_stages_that_serve_are_interrupted_only_when_that_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    there = found(serving=["stage 0@pi"])
    made = outcomes(monkeypatch, there, pages="0.0.0.0:9464")
    assert (made["service"].state, there["told"]) == ("failed", [])
    assert made["service"].text == (
        "pi: the agent serves its metrics at 127.0.0.1:9464, not at 0.0.0.0:9464; "
        "to change that would interrupt stage 0@pi, which serves there; add --restart to do it now"
    )
    outcomes(monkeypatch, there, pages="0.0.0.0:9464", restart=True)
    assert there["told"] == ["serve"]


def test_a_machine_is_not_removed_while_stages_serve_there(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []

    def tell(shell: object, verb: str, *_: object) -> dict[str, Any]:
        told.append(verb)
        return found(serving=["stage 0@pi"])

    monkeypatch.setattr("devices.setup.procedure.tell_device", tell)
    pi: Any = SimpleNamespace(name="pi")
    with pytest.raises(DeviceError, match=r"pi: stage 0@pi serves there; run: edgekit stop; or add --stop"):
        remove(pi)
    remove(pi, stop=True)
    assert told == ["look", "look", "remove"]

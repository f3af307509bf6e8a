"""Looks at this machine, each device and each pair of devices, step by step, and says what fails and how to mend it.

this machine ▶ each device: login ▶ set-up ▶ health ▶ agent ▶ each pair: one dials the other's data port
"""

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import permutations
from typing import Literal, NamedTuple

from devices import Connection, connect, scheme_of
from devices.authority import ECHO, of_probes
from devices.connection import Probe
from devices.door import door
from devices.login import Ask, login
from devices.setup.procedure import plan
from devices.setup.shell_facts import machine_of
from edgekit import __version__
from edgekit.deploy.observe.health import ailments, unknowns
from edgekit.device import Device
from edgekit.errors import DeviceError, EdgekitError
from edgekit.machine import Machine
from edgekit.runtime.agent.facts import probe_facts
from edgekit.runtime.links.sockets import LOOPBACK

__all__ = ["Finding", "examine"]

State = Literal["ok", "warning", "failed", "skipped", "unknown"]
Tell = Callable[[str], None]

OFFLINE = " (add --offline if it reaches no package index)"


class Finding(NamedTuple):
    """What one check of a machine, or of a pair of them, came to; where it is not ok, ``text`` says what to do.

    ``unknown``: it could not be looked at, for the reason in ``text``.
    """

    subject: str
    check: str
    state: State
    text: str


def examine(
    devices: Sequence[Device], *, client: str = "client", ask: Ask | None = None, tell: Tell = lambda text: None
) -> Iterator[Finding]:
    """All findings, as they are made; what depends on a check that failed is skipped."""
    tell("this machine")
    yield from _here(client)
    with ExitStack() as stack:
        connections: dict[str, Connection] = {}
        for device in devices:
            tell(device.name)
            yield from _device(device, connections, stack, ask)
        if devices:
            connections[client] = stack.enter_context(connect(Device(client)))
        for source, receiver in permutations((*(device.name for device in devices), client), 2):
            if receiver != client:  # which dials in both directions
                tell(f"{source} → {receiver}")
                yield _pair(source, receiver, connections)


def _here(client: str) -> Iterator[Finding]:
    facts = probe_facts()
    engines = ", ".join(f"{each} ({', '.join(each.providers)})" if each.providers else str(each) for each in facts.engines)
    yield Finding(client, "software", "ok", f"edgekit {__version__}, Python {sys.version.split()[0]}, {engines or 'no engine'}")
    yield from _health(client, facts.machine, clock=False)


def _health(name: str, machine: Machine, clock: bool = True) -> Iterator[Finding]:
    yield from (Finding(name, each.check, "warning", each.text) for each in ailments(machine))
    yield from (Finding(name, each.check, "unknown", each.text) for each in unknowns(machine, clock))


def _device(device: Device, connections: dict[str, Connection], stack: ExitStack, ask: Ask | None) -> Iterator[Finding]:
    if device.described:
        yield Finding(device.name, "reach", "skipped", "a sim: device, which is only described")
        return
    check = "login"
    try:
        if scheme_of(device).login:
            with login(device, ask) as shell:
                yield Finding(device.name, check, "ok", device.address)
                check = "facts"
                machine = machine_of(shell)
                yield Finding(device.name, check, "ok", f"{machine.board or machine.processor or machine.architecture}, {machine.system}")
                yield from _health(device.name, machine)
                check = "set-up"
                steps = plan(shell, machine, board=device.board)
                lacking = [step for step in steps if step.state not in ("ok", "warning")]
                if lacking:
                    what = "; ".join(f"{step.step}: {step.text}" for step in lacking)
                    mend = "" if any(step.state == "failed" for step in lacking) else f"; run: edgekit devices setup {device.name}{OFFLINE}"
                    yield Finding(device.name, check, "failed", f"{what}{mend}")
                    return
                yield Finding(device.name, check, "ok", "complete")
                yield from (Finding(device.name, step.step, "warning", step.text) for step in steps if step.state == "warning")
        check = "agent"
        connections[device.name] = stack.enter_context(connect(device))
        facts = connections[device.name].facts()
        yield Finding(device.name, check, "ok", f"edgekit {facts.version}, {', '.join(map(str, facts.engines)) or 'no engine'}")
        if device.board:
            held = f"; its line is held by {facts.held}" if facts.held else ""
            state: Literal["ok", "failed"] = "failed" if facts.board is None else "ok"
            yield Finding(device.name, "board", state, facts.boardless or f"{facts.board}{held}")
    except EdgekitError as error:
        yield Finding(device.name, check, "failed", str(error).removeprefix(f"{device.name}: "))


def _pair(source: str, receiver: str, connections: dict[str, Connection]) -> Finding:
    subject = f"{source} → {receiver}"
    if missing := [name for name in (source, receiver) if name not in connections]:
        return Finding(subject, "data port", "skipped", f"see {' and '.join(missing)}")
    echo = None
    try:
        there, authority = connections[receiver], of_probes()
        echo = there.probe(Probe(listen=there.device.listen or door(there, (connections[source],)), keys=authority.issue(ECHO)))
        request = Probe(host=echo.host, port=echo.port, sizes=(1,), samples=3, budget_s=0.1, keys=authority.issue(source))
        probed = connections[source].probe(request)
        trip_ms = 1e3 * sorted(probed.round_trips_s[0])[len(probed.round_trips_s[0]) // 2]
        return Finding(subject, "data port", "ok", f"{probed.host} → {echo.host}, round trip {trip_ms:.2g} ms")
    except DeviceError as error:
        return Finding(subject, "data port", "failed", f"{error}; {_remedy(str(error), source, receiver, echo.host if echo else '')}")


def _remedy(error: str, source: str, receiver: str, host: str) -> str:
    if host == LOOPBACK:
        return (
            f"only the machine of {receiver} can connect to it: set `listen` of {receiver} in cluster.toml to an address that "
            f"{source} reaches, or `relay = true` of the link"
        )
    if re.search(r"unreachable|No route|Invalid argument", error):
        return (
            f"{source} has no route to {host}: put both on one network, or set `listen` of {receiver} in cluster.toml "
            f"to an address that {source} reaches"
        )
    if re.search(r"timed out|refused", error):
        allow = f"on {receiver}, sudo ufw allow proto tcp from the address of {source}"
        return f"a firewall may stand between them ({allow}), or {receiver} has no way back to {source}"
    return "see the logs of both: edgekit logs"

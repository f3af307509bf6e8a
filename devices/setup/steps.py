"""The steps of set-up: what each looks at, what it lacks there, and how it puts that right."""

from collections.abc import Callable
from typing import Any, NamedTuple

from devices.setup.agent_file import agent_file
from devices.setup.packages import install
from devices.setup.paths import AGENT
from devices.setup.remote import NotDone, tell_device
from devices.setup.requirements import BOARD_PACKAGES, Requirements, choose, refusal
from devices.shell import Shell
from edgekit.errors import DeviceError
from edgekit.machine import Machine
from edgekit.runtime.agent.pages import PAGES_PORT
from edgekit.runtime.links.sockets import LOOPBACK
from edgekit.runtime.links.transport_packages import NEEDS
from edgekit.runtime.verbs import Transport

__all__ = ["REMOVE_S", "STEPS", "Found", "Site", "Step", "Tell"]

SERVE_S = 180.0
REMOVE_S = 180.0
INSTALLED_BYTES = 400_000_000
INSTALLED_GPU_BYTES = 1_500_000_000
INSTALLED_TORCH_BYTES = 6_000_000_000
SPARE_BYTES = 20_000_000
USUAL_PAGES = f"{LOOPBACK}:{PAGES_PORT}"

Tell = Callable[[str], None]
Found = dict[str, Any]
"""What ``devices.setup.onsite.inspection`` found."""


class Site(NamedTuple):
    """Where something is set up, and how."""

    shell: Shell
    machine: Machine
    offline: bool
    tell: Tell
    pages: str | None = None
    """HOST:PORT where monitors are to find the agent; None: where they do."""
    transports: tuple[Transport, ...] = ()
    """What is to carry links besides what did."""
    restart: bool = False
    """Whether stages that serve there may be interrupted."""
    board: bool = False
    """Whether a microcontroller is plugged in."""


class Step(NamedTuple):
    """``lacks`` says what is missing, ``has`` what is there; ``apply`` puts it right, where that can be done from here.

    ``doubts`` says what is there and may still surprise.
    """

    name: str
    lacks: Callable[[Site, Found], str | None]
    has: Callable[[Site, Found], str]
    apply: Callable[[Site, Found], None] | None = None
    doubts: Callable[[Site, Found], str | None] = lambda site, found: None


def _python(found: Found) -> tuple[int, int]:
    """Of the venv where there is one that can stay, else what it will be made with."""
    major, minor = (found["venv"] or found)["python"]
    return major, minor


def _asked(found: Found) -> str:
    """What the packages that are there were installed for."""
    asked: str | None = found["venv"] and found["venv"]["asked"]
    return asked or ""


def _choices(site: Site, found: Found) -> tuple[Requirements, ...]:
    """What to install, best first, with what transports and boards need: those wanted, and those that were."""
    before = _asked(found).split()
    boards = BOARD_PACKAGES if site.board or set(BOARD_PACKAGES) <= set(before) else ()
    wanted = [tuple(brought.values()) for transport, brought in NEEDS.items() if transport in site.transports]
    kept = [tuple(brought.values()) for brought in NEEDS.values() if set(brought.values()) <= set(before)]
    extra = tuple(dict.fromkeys(package for packages in (*kept, *wanted, boards) for package in packages))
    return tuple(choice._replace(packages=(*extra, *choice.packages)) for choice in choose(site.machine, _python(found)))


def _installed(site: Site, found: Found) -> bool:
    return _asked(found) in [choice.asked for choice in _choices(site, found)]


def _needed_bytes(site: Site, found: Found) -> int:
    if _installed(site, found):
        return SPARE_BYTES
    asked = _choices(site, found)[0].asked
    if "torch" in asked.split():
        return INSTALLED_TORCH_BYTES
    return INSTALLED_GPU_BYTES if "onnxruntime-gpu" in asked else INSTALLED_BYTES


def _disk(site: Site, found: Found) -> str | None:
    needed, free = _needed_bytes(site, found), found["free_bytes"]
    if free >= needed:
        return None
    return f"its disk has {free / 1e6:.0f} MB free, and {needed / 1e6:.0f} MB are needed; free some space under {found['home']}"


def _home(site: Site, found: Found) -> str | None:
    if found["writable"]:
        return None
    return f"its home {found['home']} cannot be written to; is its disk mounted read-only (see mount), or whose is it?"


def _versions(site: Site, found: Found) -> str:
    there = (found["venv"] or {}).get("packages", {})
    chosen = [name for name in ("onnxruntime", "onnxruntime-gpu", "numpy", "msgspec", "grpcio", "smp", "pyserial") if name in there]
    return ", ".join(f"{name} {there[name]}" for name in chosen)


def _install(site: Site, found: Found) -> None:
    install(site.shell, site.machine, _python(found), _choices(site, found), found["wheels"], site.offline, site.tell)


def _make_venv(site: Site) -> None:
    try:
        tell_device(site.shell, "venv", SERVE_S)
    except NotDone as error:
        lines = str(error).splitlines()
        lacks = any("No module named venv" in line or "ensurepip" in line for line in lines)
        remedy = "sudo apt install python3-venv" if lacks else "see what Python says"
        raise DeviceError(
            f"{site.shell.name}: no virtual environment can be made ({' / '.join(lines[-2:])}); {remedy}, then set up again"
        ) from error


def _put_agent(site: Site, found: Found) -> None:
    tell_device(site.shell, "stop", SERVE_S)  # it would go on to start stages from another file than its own
    site.shell.put(agent_file().data, f"~/{AGENT}")


def _serve(site: Site, found: Found) -> None:
    try:
        tell_device(site.shell, "serve", SERVE_S, **({"pages": site.pages} if site.pages else {}))
    except NotDone as error:
        raise DeviceError(
            f"{site.shell.name}: its agent does not start ({str(error).splitlines()[-1]}); see agent/agent.log there"
        ) from error


def _unkept(site: Site, found: Found) -> str | None:
    if site.pages is not None and found["pages"] != site.pages:
        return f"the agent serves its metrics at {found['pages'] or USUAL_PAGES}, not at {site.pages}"
    return None if found["service"]["ready"] else "nothing keeps the agent running"


def _kept(site: Site, found: Found) -> str:
    service = found["service"]
    if service["kind"] == "systemd":
        words = "systemd keeps the agent running and starts it after a boot"
    elif service["boots"]:
        words = "the agent runs in the background, and cron starts it after a boot"
    else:
        words = "the agent runs in the background"
    return f"{words}; metrics at {service['pages']}" if service["pages"] else words


def _surprises(site: Site, found: Found) -> str | None:
    """An agent that a boot ends, or one whose metrics are not where they were asked for."""
    service, said = found["service"], []
    if not service["boots"]:
        systemd = f"sudo loginctl enable-linger {site.machine.user}"
        remedy = systemd if service["reachable"] else "install cron there (sudo apt install cron)"
        said = [f"after a boot it starts only at the next edgekit deploy; to change that: {remedy}, then set up again"]
    wanted = (found["pages"] or USUAL_PAGES).rpartition(":")[2]
    if service["pages"] and wanted not in ("0", service["pages"].rpartition(":")[2]):
        said.append(f"port {wanted} was taken there; to have them at a port of your choice: --pages HOST:PORT")
    return "; ".join([_kept(site, found), *said]) if said else None


def _stranger(site: Site, found: Found) -> str | None:
    answers = found["service"]["greeting"]
    if answers is None:
        return "no agent answers"
    return None if answers[1] == agent_file().digest else f"the agent of another edgekit answers ({answers[0]})"


STEPS = (
    Step(
        "system",
        lambda site, found: refusal(site.machine, _python(found)),
        lambda site, found: f"{site.machine.architecture}, {site.machine.system}, Python {'.'.join(map(str, _python(found)))}",
    ),
    Step("home", _home, lambda site, found: f"{found['home']} can be written to"),
    Step("disk", _disk, lambda site, found: f"{found['free_bytes'] / 1e9:.1f} GB free"),
    Step(
        "venv",
        lambda site, found: None if found["venv"] else "no virtual environment that runs",
        lambda site, found: f"Python {'.'.join(map(str, _python(found)))}",
        lambda site, found: _make_venv(site),
    ),
    Step(
        "packages",
        lambda site, found: None if _installed(site, found) else f"not installed: {_choices(site, found)[0].asked}",
        _versions,
        _install,
    ),
    Step(
        "agent",
        lambda site, found: None if found["agent"] == agent_file().digest else "not the agent of this edgekit",
        lambda site, found: f"edgekit {agent_file().version} ({agent_file().digest[:12]})",
        _put_agent,
    ),
    Step("service", _unkept, _kept, _serve, _surprises),
    Step("answer", _stranger, lambda site, found: f"the agent of edgekit {agent_file().version} answers", _serve),
)
"""In this order; each may rely on those before it."""

"""Commands about devices: add, list, check, setup, facts, calibrate, remove."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekit.cli.app import command, group
from edgekit.cli.console import asked, mb, progress, table
from edgekit.wording import counted, kib

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from edgekit.api.devices import Board, DeviceFacts, Engine, Outcome
    from edgekit.device import Device
    from edgekit.machine import Machine

__all__ = ["add", "calibrate", "check", "facts", "list_devices", "remove", "set_up"]

devices = group("devices", "Add machines over SSH and boards on serial lines, set them up, look at them, remove them.")

Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="Devices that were added; without a name, all of them.")]
GOES_ON = "a device finishes the step that it has begun; run the same command again to do the rest"
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]


@command("add", devices)
def add(
    name: Annotated[str, typer.Argument(help="A name for the device, used in all other commands.")],
    address: Annotated[str, typer.Argument(help="ssh://USER@HOST[:PORT], ssh://ALIAS from ~/.ssh/config, or serial:PORT of a board here.")],
    *,
    fingerprint: Annotated[str | None, typer.Option(help="SHA256:… of its host key; then no question is asked.")] = None,
    port: Annotated[str | None, typer.Option(help="A microcontroller is plugged in at this port of it, such as /dev/ttyACM0.")] = None,
) -> None:
    """Add a device: remember its name, its address and its host key; of a board at serial:PORT, what it says of itself."""
    from edgekit.api import devices as api
    from edgekit.device import Device

    device = Device(name, address, port=port)
    api.add_device(device, expected=fingerprint, confirm=_confirm(name, address), ask=asked())
    print(f"{name} is {_place(device)}")
    print(f"next: edgekit devices {'facts' if device.scheme == 'serial' else 'setup'} {name}")


@command("list", devices)
def list_devices(
    stock: Annotated[
        bool, typer.Option("--stock", help="List the boards that edgekit knows from data sheets, to plan without hardware.")
    ] = False,
    json: Json = False,
) -> None:
    """List the devices that were added."""
    from edgekit.api import all_devices

    if stock:
        from edgekit.api import devices as api

        _print({"version": 1, "boards": api.stock_boards()}) if json else _boards(api.stock_boards())
        return
    found = all_devices()
    if json:
        _print({"devices": found})
    elif not found:
        print("no device was added; to add one: edgekit devices add NAME ssh://USER@HOST")
    else:
        table("", ["device", "address"], [[device.name, _place(device)] for device in found], words=2)


def _place(device: "Device") -> str:
    """Its address, with the port of a board that is plugged in there."""
    return f"{device.address}{f', port {device.port}' if device.port else ''}"


@command("check", devices)
def check(names: Names = None, json: Json = False) -> None:
    """Check whether devices are set up; change nothing. Exit code 3 if one is not."""
    _all_set_up(names, True, False, json)


@command("setup", devices, GOES_ON)
def set_up(
    *,
    names: Names = None,
    check_only: Annotated[bool, typer.Option("--check", help="Change nothing, as edgekit devices check.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Send the packages from this machine: the device has no internet.")] = False,
    pages: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve metrics (Prometheus) at this address of the device; at first 127.0.0.1:9464."),
    ] = None,
    transport: Annotated[str, typer.Option(help="Also install what this transport needs: grpc.")] = "socket",
    restart: Annotated[bool, typer.Option("--restart", help="Allow to interrupt stages that serve on the device.")] = False,
    json: Json = False,
) -> None:
    """Install edgekit's agent on devices and keep it running. A second run changes nothing."""
    _all_set_up(names, check_only, offline, json, pages, transport, restart)


@command("facts", devices)
def facts(names: Names = None, json: Json = False) -> None:
    """Show the hardware and the software of devices."""
    from edgekit.api import devices as api

    found = {}
    for device in api.known_devices(names or ()):
        with progress("looking at") as tell:
            tell(device.name)
            found[device.name] = api.device_facts(device, asked())
    if json:
        _print({name: _as_json(each) for name, each in found.items()})
        return
    for name, each in found.items():
        rows = [*_board(each), *_facts(each.machine), *_engines(each.engines)]
        table(name, ["fact", "value"], [[key, value] for key, value in rows if value], words=2)


def _as_json(found: "DeviceFacts") -> dict[str, object]:
    board = {"board": found.board, "boardless": found.boardless} if found.board or found.boardless else {}
    return {"machine": found.machine, "engines": found.engines, **board}


def _board(found: "DeviceFacts") -> list[tuple[str, str]]:
    """Rows of a microcontroller; those after them are of the machine that it is plugged into."""
    if found.boardless:
        return [("microcontroller", found.boardless)]
    if (board := found.board) is None:
        return []
    counts = "cycles" if board.time == "cycles" else "instructions: it is emulated"
    held = f"; its line is held by {found.held}" if found.held else ""
    return [
        ("microcontroller", f"{board.board} {board.uid} at {board.port}{held}"),
        ("its core", f"{board.cpu} at {board.hz / 1e6:g} MHz, {board.isa} kernels; it counts {counts}"),
        ("its RAM", f"{kib(board.pool_bytes)} for networks"),
        ("its flash", f"{kib(board.flash_bytes)} for weights, {counted(board.chunks, 'chunk')} there"),
        ("its firmware", f"{board.firmware}, ABI {board.abi}"),
        *_used(found),
        ("plugged into", "the machine that follows"),
    ]


def _used(found: "DeviceFacts") -> list[tuple[str, str]]:
    """What a board has seen since it began."""
    memory = found.board.memory if found.board else None
    if memory is None:
        return []
    return [
        ("its stack", f"{kib(memory.stack_most)} of {kib(memory.stack)} used at most"),
        ("its line", f"{counted(memory.lost, 'byte')} lost, {counted(memory.dropped, 'damaged frame')} since it began"),
    ]


def _engines(engines: "Sequence[Engine]") -> list[tuple[str, str]]:
    """Rows of a table."""
    if not engines:
        return [("engines", "not set up")]
    return [(each.name, f"{each.version} ({', '.join(each.providers)})" if each.providers else each.version) for each in engines]


@command("calibrate", devices)
def calibrate(
    name: Annotated[str, typer.Argument(help="A device that was added, or local: (this machine).")],
    output: Annotated[Path, typer.Option("-o", "--output", help="File to write the calibration to (.json).")],
    *,
    threads: Annotated[int, typer.Option(help="Threads that a stage will use.", min=1)] = 1,
    seconds: Annotated[float, typer.Option(help="Time for each of about forty small networks.", min=0.01)] = 0.3,
    json: Json = False,
) -> None:
    """Measure small networks on a device, to predict other networks for it later without it."""
    from edgekit.api import devices as api
    from edgekit.errors import UsageError
    from edgekit.files import encode, write

    if output.suffix != ".json":
        raise UsageError(f"expected a file that ends in .json, got {output}; write {output.with_suffix('.json')}")
    with progress(f"calibrating {name}") as tell:
        found = api.calibrated(name, threads=threads, budget_s=seconds, tell=tell)
    write(output, found)
    if json:
        print(encode(found).decode())
        return
    rows = [
        [
            cost.kind,
            f"{1e-9 / cost.s_per_mac:.1f}" if cost.s_per_mac else "-",
            f"{1e-9 / cost.s_per_byte:.1f}" if cost.s_per_byte else "-",
        ]
        for cost in found.costs
    ]
    table(f"{found.device}, estimated", ["kind", "GMAC/s", "activations GB/s"], rows)
    print(f"{found.overhead_s * 1e6:.1f} µs for each kernel | cache {mb(found.cache_bytes)}", end="")
    print(f" | off by {found.error:.0%} in the median, {found.worst_error:.0%} at worst, on the {len(found.networks)} networks fitted to")
    print(f'next: address = "sim:{output}" in cluster.toml')


@command("remove", devices, GOES_ON)
def remove(
    name: Annotated[str, typer.Argument(help="A device that was added.")],
    forget: Annotated[bool, typer.Option("--forget", help="Only forget it on this machine; leave the device as it is.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End the stages that serve there.")] = False,
) -> None:
    """Remove all that edgekit installed on a device, and forget the device."""
    from edgekit.api import devices as api

    (device,) = api.known_devices([name])
    others: tuple[str, ...] = ()
    if forget:
        api.forget_device(device)
    else:
        with progress("removing") as tell:
            tell(name)
            others = api.remove_device(device, asked(), stop=stop)
    done = "forgotten here; what is installed on it stays" if forget or others else "as it was before its set-up, and forgotten"
    kept = f", for {counted(len(others), 'device')} there: {', '.join(others)}" if others else ""
    print(f"{name} is {done}{kept}")


def _boards(found: "dict[str, Board]") -> None:
    rows = []
    for name, each in found.items():
        speed = each.roofline
        rates = (speed.macs_per_s, speed.fp16_macs_per_s, speed.int8_macs_per_s)
        unchecked = sorted({field for source in each.sources if not source.checked for field in source.of})
        rows.append(
            [
                f"sim:{name}",
                f"{each.title}: {each.computes}",
                " / ".join(f"{rate / 1e9:.0f}" if rate else "-" for rate in rates),
                f"{speed.memory_bytes_per_s / 1e9:.1f}",
                mb(speed.cache_bytes) if speed.cache_bytes else "-",
                mb(each.memory_bytes) if each.memory_bytes else "-",
                ", ".join(field.removesuffix("_per_s") for field in unchecked),
            ]
        )
    columns = ["address", "machine", "GMAC/s fp32 / fp16 / int8", "memory GB/s", "cache", "memory", "unchecked"]
    table(f"{counted(len(found), 'machine')}, as data sheets describe them (badge: spec)", columns, rows, words=2)
    print("GMAC/s: billions of multiply-additions per second, at best; unchecked: figures whose source was not read again")
    print('in cluster.toml: address = "sim:pi5", and variant = { threads = 4 } to use all of its cores; sources: --json')


def _all_set_up(
    names: list[str] | None,
    check_only: bool,
    offline: bool,
    json: bool,
    pages: str | None = None,
    transport: str = "socket",
    restart: bool = False,
) -> None:
    from edgekit.api import devices as api
    from edgekit.api import transport_of
    from edgekit.errors import EdgekitError

    transports = (transport_of(transport),)
    found: dict[str, list[Outcome]] = {}
    for device in api.known_devices(names or ()):
        try:
            with progress(device.name) as tell:
                found[device.name] = api.set_up(
                    device,
                    check_only=check_only,
                    offline=offline,
                    ask=asked(),
                    tell=tell,
                    pages=pages,
                    transports=transports,
                    restart=restart,
                )
        except EdgekitError as error:  # the others can be set up none the less
            found[device.name] = [api.Outcome("login", "failed", str(error))]
        if not json:
            _show(device.name, found[device.name])
    if json:
        _print({name: [step._asdict() for step in steps] for name, steps in found.items()})
    failed = [name for name, steps in found.items() if any(step.state == "failed" for step in steps)]
    lacking = [name for name, steps in found.items() if any(step.state == "missing" for step in steps) and name not in failed]
    if failed or lacking:
        said = [f"failed: {', '.join(failed)} (see above)"] if failed else []
        said += [f"not set up: {', '.join(lacking)}; run: edgekit devices setup {' '.join(lacking)}"] if lacking else []
        print(f"error: {'; '.join(said)}", file=sys.stderr)
        raise typer.Exit(3)


def _show(name: str, outcomes: "list[Outcome]") -> None:
    table(name, ["step", "result", "what was found"], [[step, state, text] for step, state, text in outcomes], words=3)
    states = [outcome.state for outcome in outcomes]
    count = {state: states.count(state) for state in ("changed", "missing", "failed", "warning")}
    print(f"{name}: {', '.join(f'{number} {state}' for state, number in count.items() if number) or 'ready'}")


def _facts(machine: "Machine") -> list[tuple[str, str]]:
    clocks = [f"{cluster.most_hz / 1e9:.1f} GHz {cluster.governor or ''}".strip() for cluster in machine.clusters if cluster.most_hz]
    nets = [f"{each.name} {' '.join(each.addresses)}{' (wireless)' if each.wireless else ''}" for each in machine.interfaces if each.up]
    saving = [each.name for each in machine.interfaces if each.power_save]
    return [
        ("board", machine.board or machine.unknown("board")),
        ("processor", f"{machine.processor or machine.architecture}, {machine.cores} cores {', '.join(clocks)}".strip()),
        ("instructions", " ".join(machine.features) or machine.unknown("features")),
        ("memory", _memory(machine)),
        ("disk", _disk(machine)),
        ("system", f"{machine.system or '?'}, {machine.kernel or '?'}, {machine.libc or '?'}, Python {machine.python or '?'}"),
        ("network", ", ".join(nets) or machine.unknown("interfaces")),
        ("clock", machine.unknown("clock_offset_s") if machine.clock_offset_s is None else f"{machine.clock_offset_s:+.2f} s from here"),
        ("temperature", machine.unknown("temperature_c") if machine.temperature_c is None else f"{machine.temperature_c:.0f} °C"),
        ("slowed down by", _held_back(machine)),
        ("warning", f"Wi-Fi power save is on ({', '.join(saving)}): sudo iw dev {saving[0]} set power_save off" if saving else ""),
        ("power mode", (machine.jetson.power_mode or machine.unknown("jetson.power_mode")) if machine.jetson else ""),
        ("GPUs", ", ".join(f"{each.name}, driver {each.driver or '?'}" for each in machine.gpus) or machine.unknown("gpus")),
        ("CUDA", f"{machine.cuda}, TensorRT {machine.tensorrt or 'missing'}" if machine.cuda else ""),
        ("power meters", ", ".join(f"{each.kind} ({each.reason or ', '.join(each.rails)})" for each in machine.sensors)),
    ]


def _memory(machine: "Machine") -> str:
    if machine.memory_bytes is None:
        return machine.unknown("memory_bytes")
    free = machine.available_bytes
    return f"{mb(machine.memory_bytes)}, available: {machine.unknown('available_bytes') if free is None else mb(free)}"


def _disk(machine: "Machine") -> str:
    if machine.disk_free_bytes is None:
        return machine.unknown("disk_bytes")
    return f"{mb(machine.disk_free_bytes)} free of {mb(machine.disk_bytes or 0)}"


def _held_back(machine: "Machine") -> str:
    if machine.throttling is not None:
        return ", ".join(machine.throttling.now) or "nothing"
    return machine.unknown("throttling") if machine.family == "raspberry-pi" else ""


def _confirm(name: str, address: str) -> "Callable[[str], bool] | None":
    if not sys.stdin.isatty():
        return None
    check = "on it, ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub says the same"
    return lambda key: typer.confirm(f"{name} ({address}) has the key {key}\n({check}). Trust it?", err=True)


def _print(value: object) -> None:
    import msgspec

    print(msgspec.json.encode(value).decode())

"""Mistakes in a TOML file are told with the field's name as it is written there, its line, and a guess."""

from pathlib import Path

import pytest

from edgekit.cluster import Cluster
from edgekit.errors import FormatError
from edgekit.files import read

FIELDS = "fields: name, address, host, memory_bytes, variant, cores, speed, listen, roofline, port, flash_bytes, insn_per_s"

CASES = {
    # a file                                                                    what is said of it
    '[[devices]]\nname = "a"\nsped = 0.5': f"line 3: unknown field sped in [[devices]] number 1; did you mean speed? {FIELDS}",
    '[[devices]]\nname = "a"\ncolour = 1': f"line 3: unknown field colour in [[devices]] number 1; {FIELDS}",
    '[[device]]\nname = "a"': "line 1: unknown field [[device]]; did you mean [[devices]]? fields: devices, links, client, name",
    'clint = "here"\n[[devices]]\nname = "a"': "line 1: unknown field clint; did you mean client? fields: devices, links, client, name",
    '[[devices]]\nname = "board"\n[[links]]\nsource = "boad"\nreceiver = "client"': (
        "not a valid edgekit.cluster: link boad → client: add the device, or name one of *, board, client; did you mean board?"
    ),
    '[[devices]]\naddress = "local:"': "line 1: name is missing in [[devices]] number 1",
    '[[devices]]\nname = "a"\n\n[[devices]]\nname = "b"\nspeed = 7': (
        "line 6: speed in [[devices]] number 2: expected a number of at most 1, got 7"
    ),
    '[[devices]]\nname = "a"\nmemory_bytes = "4 GB"': ('line 3: memory_bytes in [[devices]] number 1: expected a whole number, got "4 GB"'),
    '[[devices]]\nname = "a"\ncores = 2': "line 3: cores in [[devices]] number 1: expected a list, got 2",
    '[[devices]]\nname = "a"\ncores = [0, -1]': (
        "line 3: number 2 of cores in [[devices]] number 1: expected a whole number of at least 0, got -1"
    ),
    '[[devices]]\nname = "a"\nport = ""': 'line 3: port in [[devices]] number 1: expected text that is not empty, got ""',
    '[[devices]]\nname = "a"\nflash_bytes = -1': (
        "line 3: flash_bytes in [[devices]] number 1: expected a whole number of at least 0, got -1"
    ),
    '[[devices]]\nname = ""': 'line 2: name in [[devices]] number 1: expected text that is not empty, got ""',
    '[[devices]]\nname = "a"\n[devices.variant]\nthread = 2': (
        "line 4: unknown field thread in variant in [[devices]] number 1; did you mean threads? "
        "fields: precision, provider, threads, engine"
    ),
    '[[devices]]\nname = "a"\nvariant = { threads = 0 }': (
        "line 3: threads in variant in [[devices]] number 1: expected a whole number of at least 1, got 0"
    ),
    'client = "c"\n[[devices]]\nname = "a"\n[[links]]\nsource = "a"\nreceiver = "c"\nshaped = "yes"': (
        'line 7: shaped in [[links]] number 1: expected true or false, got "yes"'
    ),
    '[[devices]]\nname = "a"\n[[links]]\nsource = "a"\nreceiver = "*"\nbadge = "good"': (
        'line 6: badge in [[links]] number 1: expected one of certified, estimated, measured, spec, got "good"'
    ),
    '[devices]\nname = "a"': "line 1: devices: expected a list, got a table of fields",
    'devices = [{ name = "a", sped = 1 }]': f"unknown field sped in [[devices]] number 1; did you mean speed? {FIELDS}",
    "devices = []": "line 1: devices: expected a list that is not empty, got a list",
    'name = "garden"': "devices is missing",
}


@pytest.mark.parametrize("text", CASES)
def test_a_mistake_is_told_in_the_words_of_who_made_it(text: str, tmp_path: Path) -> None:
    (tmp_path / "lab.toml").write_text(text)
    with pytest.raises(FormatError) as caught:
        read(tmp_path / "lab.toml", Cluster)
    assert str(caught.value) == f"{tmp_path / 'lab.toml'}: {CASES[text]}"

"""Which cipher two machines agree on: AES where both have instructions for it, else ChaCha20."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import msgspec
import pytest

from devices.authority import Authority
from edgekit.runtime.links import ciphers
from edgekit.runtime.links.tls import Guard, named
from edgekit.runtime.machine.sources import Here
from tests.runtime.bed import pair

PI4 = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nCPU part\t: 0xd08\n"
PI5 = "processor\t: 0\nFeatures\t: fp asimd evtstrm aes pmull sha1 sha2 crc32\nCPU part\t: 0xd0b\n"


def machine(root: Path, cpuinfo: str) -> Here:
    (root / "proc").mkdir(exist_ok=True)
    (root / "proc" / "cpuinfo").write_text(cpuinfo)
    return Here(str(root), {})


@pytest.fixture(autouse=True)
def unconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENSSL_CONF", raising=False)


def test_only_a_processor_without_instructions_for_aes_is_told_otherwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ciphers.environment(tmp_path, machine(tmp_path, PI5)) == {}
    assert ciphers.environment(tmp_path, machine(tmp_path, "")) == {}
    assert list(ciphers.environment(tmp_path, machine(tmp_path, PI4))) == ["OPENSSL_CONF"]
    monkeypatch.setenv("OPENSSL_CONF", "/etc/mine.cnf")
    assert ciphers.environment(tmp_path, machine(tmp_path, PI4)) == {}


CALLER = """
import socket, sys, msgspec
from edgekit.runtime.links.tls import Guard, Keys
keys = msgspec.json.decode(sys.stdin.read(), type=Keys)
sock = Guard(keys).call(socket.socket(fileno=int(sys.argv[1])), sys.argv[2], 5)
print(sock.cipher()[0])
"""


@pytest.mark.parametrize(("cpuinfo", "cipher"), [(PI4, "TLS_CHACHA20_POLY1305_SHA256"), (PI5, "TLS_AES_256_GCM_SHA384")])
def test_the_one_that_listens_follows_the_one_that_has_no_instructions(tmp_path: Path, cpuinfo: str, cipher: str) -> None:
    house = Authority.fresh("house")
    far, near = pair()
    answering = threading.Thread(target=lambda: Guard(house.issue("a")).answer(near, 5).close())
    answering.start()
    with far:
        made = subprocess.run(
            [sys.executable, "-c", CALLER, str(far.fileno()), named("house", "a")],
            input=msgspec.json.encode(house.issue("b")),
            capture_output=True,
            pass_fds=(far.fileno(),),
            env={**os.environ, **ciphers.environment(tmp_path, machine(tmp_path, cpuinfo))},
            cwd=Path(__file__).parents[3],
        )
    answering.join()
    assert made.stdout.decode().strip() == cipher, made.stderr.decode()

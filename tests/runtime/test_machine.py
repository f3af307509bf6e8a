"""The probe on trees of files in the documented formats, on this machine, and on nonsense."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.setup.shell_facts import script
from edgekit.machine import CoreCluster, Gpu, Jetson, Machine, Sensor, Throttling
from edgekit.runtime.machine.machine_probe import probe
from edgekit.runtime.machine.sources import Here

# /proc/cpuinfo of arm64 as arch/arm64/kernel/cpuinfo.c prints it
ARM = "processor\t: {}\nBogoMIPS\t: 108.00\nFeatures\t: {}\nCPU implementer\t: 0x41\nCPU part\t: {}\n\n"
A76 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
MEMORY = "MemTotal:        8245840 kB\nMemFree:         7000000 kB\nMemAvailable:    7700000 kB\n"

RASPBERRY = {
    "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
    "proc/device-tree/compatible": "raspberrypi,5-model-b\0brcm,bcm2712\0",
    "proc/cpuinfo": "".join(ARM.format(n, A76, "0xd0b") for n in range(4)),
    "proc/meminfo": MEMORY,
    "proc/uptime": "350735.47 234388.90\n",
    "proc/loadavg": "0.20 0.18 0.12 1/80 11206\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n',
    "sys/devices/system/cpu/cpufreq/policy0/related_cpus": "0 1 2 3\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "ondemand\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "1500000\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq": "1500000\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "2400000\n",
    "sys/class/thermal/thermal_zone0/temp": "51350\n",
    "sys/class/net/lo/mtu": "65536\n",
    "sys/class/net/eth0/mtu": "1500\n",
    "sys/class/net/eth0/operstate": "up\n",
    "sys/class/net/eth0/speed": "1000\n",
    "sys/class/net/eth0/address": "d8:3a:dd:00:00:01\n",
    "sys/class/net/wlan0/mtu": "1500\n",
    "sys/class/net/wlan0/operstate": "up\n",
    "sys/class/net/wlan0/wireless/.keep": "",
}
# vcgencmd as documented at raspberrypi.com/documentation/computers/os.html
RASPBERRY_COMMANDS = {
    "vcgencmd get_throttled": "throttled=0x50005",
    "vcgencmd pmic_read_adc": " 3V7_WL_SW_A current(0)=0.00390372A\n VDD_CORE_A current(7)=0.82300000A\n VDD_CORE_V volt(15)=0.72119430V",
    "iw dev wlan0 get power_save": "Power save: on",
    "iw dev wlan0 link": "Connected to 00:11:22:33:44:55 (on wlan0)\n\tSSID: lab\n\ttx bitrate: 433.3 MBit/s VHT-MCS 9",
    "ip -json address show": json.dumps(
        [
            {"ifname": "eth0", "addr_info": [{"local": "192.168.1.20", "prefixlen": 24, "scope": "global"}]},
            {"ifname": "wlan0", "addr_info": [{"local": "fe80::1", "prefixlen": 64, "scope": "link"}]},
        ]
    ),
}

ORIN = {
    "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
    "proc/device-tree/compatible": "nvidia,p3768-0000+p3767-0005\0nvidia,tegra234\0",
    "proc/cpuinfo": "".join(ARM.format(n, A76, "0xd42") for n in range(6)),
    "proc/meminfo": MEMORY,
    "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n",
    "sys/devices/system/cpu/cpufreq/policy0/related_cpus": "0 1 2 3\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_min_freq": "1510400\n",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_max_freq": "1510400\n",
    "sys/devices/system/cpu/cpufreq/policy4/related_cpus": "4 5\n",
    # Documentation/hwmon/ina3221.rst; the labels are those of the Orin Nano's device tree
    "sys/class/hwmon/hwmon1/name": "ina3221\n",
    "sys/class/hwmon/hwmon1/in1_label": "VDD_IN\n",
    "sys/class/hwmon/hwmon1/in2_label": "VDD_CPU_GPU_CV\n",
    "sys/class/hwmon/hwmon1/in3_label": "VDD_SOC\n",
    "sys/class/hwmon/hwmon1/in7_label": "sum of shunt voltages\n",
    "usr/local/cuda/lib64/libcudart.so.12.6.68": "",
    "usr/lib/aarch64-linux-gnu/libnvinfer.so.10.3.0": "",
}
# unsupported fields as nvidia-smi(1) writes them
SMI = "nvidia-smi --query-gpu=name,compute_cap,driver_version,memory.total --format=csv,noheader,nounits"
ORIN_COMMANDS = {"nvpmodel -q": "NV Power Mode: 15W\n0", SMI: "Orin (nvgpu), 8.7, 540.4.0, [N/A]"}


def tree(root: Path, files: dict[str, str]) -> str:
    for path, text in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return str(root)


def machine(root: Path, files: dict[str, str], commands: dict[str, str]) -> Machine:
    return msgspec.convert(probe(Here(tree(root, files), commands)), Machine)


def test_a_raspberry_pi_is_recognised(tmp_path: Path) -> None:
    pi = machine(tmp_path, RASPBERRY, RASPBERRY_COMMANDS)
    assert (pi.family, pi.board, pi.soc) == ("raspberry-pi", "Raspberry Pi 5 Model B Rev 1.0", "bcm2712")
    assert (pi.architecture, pi.cores, pi.processor) == ("aarch64", 4, "Cortex-A76")
    assert pi.clusters == (CoreCluster((0, 1, 2, 3), "Cortex-A76", None, "ondemand", 1_500_000_000, 1_500_000_000, 2_400_000_000),)
    assert pi.features == ("asimd", "asimddp", "asimdhp", "fphp", "aes")
    assert (pi.memory_bytes, pi.available_bytes) == (8_245_840 * 1024, 7_700_000 * 1024)
    assert (pi.system, pi.uptime_s, pi.load_average, pi.temperature_c) == ("Debian GNU/Linux 12 (bookworm)", 350735.47, 0.2, 51.35)
    assert pi.throttling == Throttling(0x50005, ("undervoltage", "throttled"), ("undervoltage", "throttled"))
    assert pi.sensors == (Sensor("pmic", "vcgencmd pmic_read_adc", ("3V7_WL_SW", "VDD_CORE")),)
    eth0, wlan0 = pi.interfaces
    assert (eth0.addresses, eth0.bits_per_s, eth0.wireless, eth0.power_save) == (("192.168.1.20/24",), 1_000_000_000, False, None)
    assert (wlan0.addresses, wlan0.bits_per_s, wlan0.wireless, wlan0.power_save) == ((), 433_300_000, True, True)
    assert pi.jetson is None


def test_a_jetson_is_recognised(tmp_path: Path) -> None:
    orin = machine(tmp_path, ORIN, ORIN_COMMANDS)
    assert (orin.family, orin.soc, orin.processor) == ("jetson", "tegra234", "Cortex-A78AE")
    assert [cluster.cores for cluster in orin.clusters] == [(0, 1, 2, 3), (4, 5)]
    assert orin.jetson == Jetson("R36.4.3", "15W", True)
    assert (orin.cuda, orin.tensorrt) == ("12.6.68", "10.3.0")
    assert orin.gpus == (Gpu("Orin (nvgpu)", "8.7", "540.4.0"),)
    assert orin.sensors == (Sensor("ina3221", "/sys/class/hwmon/hwmon1", ("VDD_IN", "VDD_CPU_GPU_CV", "VDD_SOC")),)
    assert orin.throttling is None


def test_graphics_cards_are_known_by_name_driver_and_memory(tmp_path: Path) -> None:
    said = "NVIDIA L4, 8.9, 550.54.15, 23034\nNVIDIA GeForce GTX 1080, [Not Supported], 550.54.15, 8192\nFailed to initialize NVML\n"
    found = machine(tmp_path, {}, {SMI: said}).gpus
    assert found == (
        Gpu("NVIDIA L4", "8.9", "550.54.15", 23034 << 20),
        Gpu("NVIDIA GeForce GTX 1080", None, "550.54.15", 8192 << 20),
    )


def test_unlike_cores_are_clusters_also_without_clocks(tmp_path: Path) -> None:
    files = {"proc/cpuinfo": "".join(ARM.format(n, A76, part) for n, part in enumerate(("0xd03", "0xd03", "0xd09", "0xd09")))}
    found = machine(tmp_path, files, {})
    assert [(cluster.cores, cluster.part) for cluster in found.clusters] == [((0, 1), "Cortex-A53"), ((2, 3), "Cortex-A73")]
    assert found.processor == "Cortex-A53 + Cortex-A73"


def test_what_is_missing_has_a_reason(tmp_path: Path) -> None:
    reasons = {missing.field: missing.reason for missing in machine(tmp_path, {"proc/device-tree/model": "Raspberry Pi 4"}, {}).missing}
    assert reasons["throttling"] == "vcgencmd: not found"
    assert reasons["uptime_s"] == "/proc/uptime: No such file or directory"
    assert reasons["memory_bytes"] == "/proc/meminfo: no MemTotal"
    assert reasons["temperature_c"] == "/sys/class/thermal: no zone that can be read"


@pytest.mark.parametrize(
    ("commands", "field", "reason"),
    [
        ({"vcgencmd get_throttled": "VCHI initialization failed"}, "throttling", "vcgencmd get_throttled: not understood: 'VCHI initial"),
        ({"iw dev wlan0 get power_save": "nl80211 not found."}, "interfaces.power_save", "iw dev wlan0 get power_save: not understood"),
    ],
)
def test_an_answer_that_is_not_understood_is_a_reason(commands: dict[str, str], field: str, reason: str, tmp_path: Path) -> None:
    found = machine(tmp_path, RASPBERRY, RASPBERRY_COMMANDS | commands)
    assert found.unknown(field).startswith(f"unknown, because {reason}")


def test_a_command_that_may_not_be_run_says_so(tmp_path: Path) -> None:
    (tmp_path / "vcgencmd").write_text("#!/bin/sh\necho no such device >&2\nexit 4\n")
    here = Here()
    assert here.command(f"{tmp_path}/vcgencmd", "throttling") is None
    assert here.missing["throttling"].endswith("vcgencmd: Permission denied")
    (tmp_path / "vcgencmd").chmod(0o755)
    assert here.command(f"{tmp_path}/vcgencmd", "throttling") is None
    assert here.missing["throttling"].endswith("vcgencmd: exit code 4: no such device")


def test_a_meter_that_only_root_may_read_says_so(tmp_path: Path) -> None:
    files = {"sys/class/powercap/intel-rapl:0/name": "package-0\n"}
    assert machine(tmp_path, files, {}).sensors == (
        Sensor("rapl", "/sys/class/powercap/intel-rapl:0", ("package-0",), "energy_uj can be read by root alone"),
    )


@pytest.mark.xfail(strict=True, reason="programs are not looked for in /usr/sbin, which is not on the PATH of a login over SSH on Debian")
def test_a_program_in_sbin_is_found_whatever_the_path_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/games")
    names = [name for name in ("ldconfig", "sysctl", "getcap") if not Path("/usr/bin", name).exists() and Path("/usr/sbin", name).exists()]
    if not names:
        pytest.skip("needs hardware with a program in /usr/sbin alone")
    assert Here().command(f"{names[0]} --version", "x") is not None


@given(data=st.data())
def test_no_nonsense_in_a_file_or_an_answer_breaks_it(data: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    root = tmp_path_factory.mktemp("nonsense")
    tree(root, RASPBERRY | ORIN)
    for path in data.draw(st.lists(st.sampled_from(sorted(RASPBERRY | ORIN)), max_size=6)):
        (root / path).write_bytes(data.draw(st.binary(max_size=40)))
    commands = {name: data.draw(st.text(max_size=40)) for name in RASPBERRY_COMMANDS | ORIN_COMMANDS}
    found = msgspec.convert(probe(Here(str(root), commands)), Machine)
    assert found.cores >= 1


def test_this_machine_is_probed_by_one_script_for_standard_input() -> None:
    said = subprocess.run([sys.executable, "-"], input=script(), capture_output=True, check=True).stdout
    found = msgspec.json.decode(said, type=Machine)
    assert (found.cores, found.bits) == (found.cores, 64)
    assert found.memory_bytes and found.disk_free_bytes and found.time_s and found.python == sys.version.split()[0]


@pytest.mark.parametrize("version", ["3.8", "3.10", "3.13"])
def test_older_and_newer_pythons_run_it(version: str) -> None:
    found = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python3"))
    if not found:
        pytest.skip(f"needs data Python {version} under ~/.pyenv")
    said = subprocess.run([str(found[0]), "-"], input=script(), capture_output=True, check=True).stdout
    assert str(msgspec.json.decode(said, type=Machine).python).startswith(version)

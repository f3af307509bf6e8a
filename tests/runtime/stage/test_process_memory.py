"""Loading and running have a peak each; where a GPU shares the memory, both hold what it takes too."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.runtime.machine.sources import Here
from edgekit.runtime.stage import process_memory
from edgekit.runtime.stage.process_memory import Peaks, Watch, forget_peak, peak_bytes, resident_bytes

MIB = 2**20


def touched(mebibytes: int) -> int:
    """Memory that was there for a moment; above 32 MiB it never comes out of a heap that is resident already."""
    return int(np.ones(mebibytes * MIB, np.uint8)[-1])


def alone(name: str) -> Any:
    """What a function of this module gives in a process of its own, where nobody else's heap grows."""
    code = f"import json; from {__name__} import {name}; print(json.dumps({name}()))"
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=Path(__file__).parents[3], check=True)
    return json.loads(done.stdout)


def watched() -> tuple[int, Peaks, int]:
    """What is resident, then the peaks after much was touched while loading and less while running."""
    before = resident_bytes()
    watch = Watch(before)
    touched(96)
    watch.loaded()
    touched(40)
    return before, watch.ran(), watch.ran().most


def test_what_loading_left_behind_is_not_counted_as_running() -> None:
    if not forget_peak():
        pytest.skip("this kernel does not let a peak be forgotten")
    before, (load, run, proportional, library), most = alone("watched")
    assert run is not None and before + 90 * MIB < load
    assert before + 34 * MIB < run < load - 45 * MIB
    assert proportional is None or 0 < proportional <= run
    assert 0 <= library < 8 * MIB
    assert most == load


def hidden_then_over() -> tuple[Peaks, Peaks, int]:
    """Of a run below the load's peak and of one above, where the kernel forgets no peak; and what was still held then."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process_memory, "forget_peak", lambda: False)
        watch = Watch(0)
        touched(64)
        watch.loaded()
        touched(8)
        hidden = watch.ran()
        kept = np.ones(2 * peak_bytes(), np.uint8)
        return hidden, watch.ran(), int(kept[-1])


def test_where_a_peak_cannot_be_forgotten_a_run_below_it_is_not_known() -> None:
    *peaks, kept = alone("hidden_then_over")
    hidden, over = (Peaks(*found) for found in peaks)
    assert hidden.run is None and hidden.most == hidden.load
    assert over.run is not None and over.most == over.run > over.load and kept


def test_on_a_jetson_what_the_machine_lost_counts(tmp_path: Path) -> None:
    base, free = 100 * MIB, 64 << 30

    def available(nbytes: int) -> None:
        (tmp_path / "proc/meminfo").write_text(f"MemTotal: {2 * free >> 10} kB\nMemAvailable: {nbytes >> 10} kB\n")

    (tmp_path / "proc/device-tree").mkdir(parents=True)
    (tmp_path / "proc/device-tree/model").write_text("NVIDIA Orin Nano Developer Kit\0")
    available(free)
    watch = Watch(base, Here(str(tmp_path)))
    available(free - (5 << 30))  # context, engine and what is loaded
    watch.loaded()
    available(free - (3 << 30))  # the parsed model is gone
    peaks = watch.ran()
    assert (peaks.load, peaks.run, peaks.most) == (base + (5 << 30), base + (3 << 30), base + (5 << 30))
    assert watch.ran().run == base + (3 << 30)


def test_a_drop_that_has_passed_while_the_model_was_loaded_counts(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    looks = iter([9 << 30, 2 << 30, *[8 << 30] * 1000])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(process_memory, "_available_bytes", lambda here: next(looks))
        free = process_memory._Free(Here(str(tmp_path)))
        free._thread.join(3 * process_memory.LOOK_S)
        assert (free.dropped(), free.dropped()) == (7 << 30, 1 << 30)

"""A minute of what benchmarks/soak.py does for an hour."""

import json
import subprocess
import sys
from pathlib import Path

from edgekit.runtime.origin import environment

SOAK = Path(__file__).parents[2] / "benchmarks" / "soak.py"


def test_a_minute_of_mixed_faults_costs_no_frame_and_no_descriptor() -> None:
    done = subprocess.run([sys.executable, SOAK, "--seconds", "60"], env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["frames"] > 500 and found["faults"] > 20
    assert found["lost"] == found["duplicated"] == found["reordered"] == found["corrupt"] == 0

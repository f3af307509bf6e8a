"""What an agent says of the packages of its device."""

import os
import subprocess
from importlib import metadata
from pathlib import Path

import msgspec
import onnxruntime
import pytest

from edgekit.runtime.agent.facts import probe_facts


def test_they_are_those_that_a_stage_would_use() -> None:
    facts = probe_facts()
    assert (facts.engines[0].name, facts.engines[0].version) == ("onnxruntime", metadata.version("onnxruntime"))
    assert facts.engines[0].providers == tuple(onnxruntime.get_available_providers())


def test_they_are_asked_for_again_when_packages_have_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter(["1.20\nA B\n", "1.21\n", "1.21\nA\nhailo 4.2\n", ""])
    monkeypatch.setattr(msgspec, "__file__", str(tmp_path / "msgspec" / "__init__.py"))
    monkeypatch.setattr("edgekit.runtime.agent.facts.probe", lambda _: {"architecture": "aarch64", "cores": 4})
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0, next(answers)))
    found = []
    for second in (1, 1, 2, 3, 4):
        os.utime(tmp_path, (second, second))
        facts = probe_facts()
        found.append((" and ".join(map(str, facts.engines)), facts.providers))
    both = ("onnxruntime 1.20", ("A", "B"))
    assert found == [both, both, ("onnxruntime 1.21", ()), ("onnxruntime 1.21 and hailo 4.2", ("A",)), ("", ())]

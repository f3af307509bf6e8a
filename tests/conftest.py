"""What holds for every test: how hypothesis searches, and which absences CI accepts.

A skip says what it lacks: ``needs tool ssh``, ``needs hardware Raspberry Pi 4``, ``needs data imagenette``.
On CI (the environment variable CI is set) only hardware and data may be missing: a test that lacks a tool has failed there.
"""

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

ACCEPTED = ("needs hardware", "needs data")

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # read when onnxruntime is first imported; else it writes to the home folder

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read when torch is first imported; else its agent talks on after the last test

settings.register_profile("default", deadline=None, max_examples=50, derandomize=True)  # every run sees the same examples
settings.register_profile("nightly", deadline=None, max_examples=2000)
settings.load_profile("default")


def _refused_on_ci(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """Why a skipped test counts as failed here, or None."""
    if not report.skipped or hasattr(report, "wasxfail") or not os.environ.get("CI"):
        return None
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    return None if reason.startswith(ACCEPTED) else f"skipped on CI, where only hardware and outside data may be missing: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if reason := _refused_on_ci(report):
        report.outcome, report.longrepr = "failed", reason
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if reason := _refused_on_ci(report):
        report.outcome, report.longrepr = "failed", reason
    return report

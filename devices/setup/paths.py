"""Where things of ours are on a device: one folder in the home of the user who is logged in to, and a unit for systemd."""

__all__ = ["AGENT", "FOLDER", "PYTHON", "ROOT", "UNIT", "VENV", "WHEELS"]

ROOT = ".local/share/edgekit"
"""In the home, as are the others."""

VENV = f"{ROOT}/venv"
PYTHON = f"{VENV}/bin/python"
AGENT = f"{ROOT}/agent.pyz"
FOLDER = f"{ROOT}/agent"
"""Of the agent: its socket, pid and log."""

STORE = f"{ROOT}/store"
WHEELS = f"{ROOT}/wheels"
"""Only while packages are being installed."""

UNIT = ".config/systemd/user/edgekit-agent.service"

"""How a device keeps its agent running: a unit for the user's own systemd, or a process that its pid file names.

                systemd                          without it
start           systemctl --user restart         agent.pyz serve --daemon
after a crash   Restart=on-failure               the next connection that wants it to stay
after a reboot  WantedBy=default.target, linger  @reboot, where there is cron
"""

from devices.setup.paths import AGENT, PYTHON

__all__ = ["CRON_LINE", "UNIT_TEXT"]

UNIT_TEXT = f"""\
[Unit]
Description=edgekit agent
StartLimitIntervalSec=60
StartLimitBurst=5

[Service]
Type=notify
NotifyAccess=main
ExecStart=%h/{PYTHON} %h/{AGENT} serve
WatchdogSec=20
Restart=on-failure
RestartSec=2
TimeoutStartSec=60
TimeoutStopSec=30
# the agent ends its stages itself, and outlives one that ran out of memory
KillMode=mixed
OOMPolicy=continue
NoNewPrivileges=yes
UMask=0077

[Install]
WantedBy=default.target
"""

CRON_LINE = f'@reboot "$HOME/{PYTHON}" "$HOME/{AGENT}" serve --daemon # edgekit'
"""The end of the line is how it is found again."""

# Every verb does its own set-up, so each works first thing on a fresh machine.
#
#   make demo      split a network over emulated devices, deploy the split and check it
#   make test      check, then all tests but the nightly ones
#   make check     formatting, lint and types
#   make fix       put formatting and simple lint right
#   make nightly   long repetitions and slow beds
#   make fuzz      ten minutes of atheris on what comes over a connection
#   make wheel     build dist/*.whl
#   make setup     only the set-up: .venv and, as root on Debian, the tools that tests need

PYTHONS ?= python3.13 python3.12 python3.11 python3
DEBIAN_PACKAGES = openssh-server openssh-client iproute2 tcsh gcc libc6-dev qemu-system-arm gcc-arm-none-eabi libnewlib-arm-none-eabi

BIN = .venv/bin
READY = .venv/.ready
READY_DEMO = .venv/.ready-demo
PIP_INSTALL = $(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt
PIP_FAILED = { echo "edgekit: pip could not install the above; check the network, the disk and PIP_INDEX_URL, then run make again" >&2; exit 1; }
APT_INSTALL = DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends

.DEFAULT_GOAL := help
# apt-get and pip take locks.
.NOTPARALLEL:
.PHONY: help setup tools demo test check fix nightly fuzz wheel

help:
	@sed -n 's/^#   //p' Makefile

setup: $(READY) tools

demo: $(READY_DEMO)
	@$(BIN)/edgekit demo

test: check
	@echo "edgekit: running the tests"
	@$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile

check: setup
	@echo "edgekit: checking formatting, lint and types"
	@$(BIN)/ruff format --check --quiet . || { echo "edgekit: the files above are not formatted; run make fix" >&2; exit 1; }
	@$(BIN)/ruff check --quiet . || { echo "edgekit: lint found the above; make fix puts the simple ones right" >&2; exit 1; }
	@$(BIN)/mypy --no-error-summary || { echo "edgekit: put the types above right" >&2; exit 1; }

fix: setup
	@$(BIN)/ruff check --quiet --fix-only .
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --quiet . || { echo "edgekit: the above has to be put right by hand" >&2; exit 1; }

# Programs of another architecture, and what runs them here.
nightly: DEBIAN_PACKAGES += mmdebstrap qemu-user-static
nightly: setup
	@$(BIN)/pytest -m nightly --hypothesis-profile=nightly

fuzz: setup
	@$(BIN)/python -c 'import atheris' 2>/dev/null || $(PIP_INSTALL) -e ".[fuzz]"
	@$(BIN)/python benchmarks/fuzz_wire.py -max_total_time=600

# A build folder left behind would put deleted files into the wheel.
wheel: setup
	@rm -rf build dist
	@$(BIN)/python -m build --wheel --no-isolation

# What tests call besides Python. Without root they are only named, and the tests that need them are skipped.
tools:
	@command -v dpkg-query >/dev/null || exit 0; \
	missing=; \
	for package in $(DEBIAN_PACKAGES); do \
		dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" != 0 ]; then echo "edgekit: some tests will be skipped; for all of them: sudo apt-get install$$missing"; exit 0; fi; \
	echo "edgekit: installing$$missing, which tests need"; \
	{ apt-get update && $(APT_INSTALL) $$missing; } || { echo "edgekit: apt-get failed, see above; check the network and run make setup again" >&2; exit 1; }

# Linters, test tools and what tests compare with are not needed to look at the demo.
$(READY_DEMO): pyproject.toml constraints.txt $(BIN)/python
	@echo "edgekit: installing what the demo needs into .venv; torch makes this a download of some hundred megabytes, once"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip
	@$(PIP_INSTALL) -e ".[demo]" || $(PIP_FAILED)
	@touch $(READY_DEMO)

$(READY): $(READY_DEMO)
	@echo "edgekit: installing what tests and checks need into .venv, once"
	@$(PIP_INSTALL) -e ".[torch,dev]" || $(PIP_FAILED)
	@touch $(READY)

$(BIN)/python:
	@python=; \
	for name in $(PYTHONS); do \
		if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then python=$$name; break; fi; \
	done; \
	if [ -z "$$python" ]; then echo "edgekit: needs Python 3.11 or newer, found none of: $(PYTHONS); on Debian: apt-get install python3 python3-venv" >&2; exit 1; fi; \
	if ! $$python -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		if ! command -v apt-get >/dev/null; then echo "edgekit: $$python cannot make virtual environments; install its venv and ensurepip modules" >&2; exit 1; fi; \
		if [ "$$(id -u)" != 0 ]; then echo "edgekit: $$python cannot make virtual environments; run: sudo apt-get install python3-venv" >&2; exit 1; fi; \
		echo "edgekit: installing python3-venv, without which $$python cannot make virtual environments"; \
		{ apt-get update && $(APT_INSTALL) python3-venv; } || { echo "edgekit: apt-get failed, see above; check the network and run make setup again" >&2; exit 1; }; \
	fi; \
	echo "edgekit: making .venv with $$python, $$($$python -V)"; \
	$$python -m venv --clear .venv || { rm -f $(BIN)/python; echo "edgekit: .venv could not be made, see above" >&2; exit 1; }

# make lab         opens the lessons in JupyterLab          make notebooks  executes all lessons again, in place
# make quick       runs the tests that start no processes   make book       builds the static site in build/book
# make test        installs everything and runs the tests   make bench      measures us beside our peers
# make test-doors  runs those that need a server
#
# PYTHON=python3.12 picks the Python for .venv, PORT=9000 the port of JupyterLab, ARGS="…" goes to the command run.

PYTHON ?= python3
VENV ?= .venv
PORT ?= 8888
ARGS ?=
TORCH = torch==2.13.0
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
SYSTEM_PACKAGES = chromium bwrap:bubblewrap

BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
STAMPS = $(VENV)/stamps
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder
NBVAL = --nbval --nbval-current-env --nbval-cell-timeout 300

.PHONY: help install lab style quick test test-doors notebooks book bench system-packages clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \{0,1\}//p' Makefile | head -6

install: $(STAMPS)/everything system-packages

lab: $(STAMPS)/lab
	@$(BIN)/pgcourse lab --port=$(PORT) $(ARGS)

style: $(STAMPS)/everything
	$(BIN)/ruff check
	$(BIN)/ruff format --check

quick: style
	$(PYTEST) -m "not processes" tests $(ARGS)

test: install style
	$(PYTEST) $(NBVAL) notebooks tests $(ARGS)

test-doors: SYSTEM_PACKAGES = bwrap:bubblewrap pg_createcluster:postgresql
test-doors: install
	$(BIN)/python -m pytest tests/doors $(ARGS)

notebooks: $(STAMPS)/everything
	@$(BIN)/python tools/execute_notebooks.py $(or $(ARGS),$(wildcard notebooks/*.ipynb))

book: $(STAMPS)/everything
	@$(BIN)/python -m tools.build_book

bench: $(STAMPS)/bench
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf $(VENV)

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"$(PYTHON) is Python {sys.version.split()[0]}, \
	expected 3.11 or newer: try make PYTHON=python3.11 $(MAKECMDGOALS)")'
	@echo "Creating $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "No venv module: on Debian or Ubuntu, apt install python3-venv"; exit 1; }

# torch goes first and alone: left to itself, pip takes a Linux build of it with gigabytes of CUDA.
$(STAMPS)/torch: constraints.txt | $(BIN)/python
	@mkdir -p $(STAMPS)
	@echo "Installing $(TORCH) (CPU)"
	@if [ "$$(uname -s)" = Linux ] && $(BIN)/python -c \
	  'import urllib.request; urllib.request.urlopen("$(TORCH_INDEX)/torch/", timeout=3)' 2>/dev/null; \
	then $(PIP) '$(TORCH)' --index-url $(TORCH_INDEX); else $(PIP) '$(TORCH)'; fi
	@touch $@

$(STAMPS)/lab: $(STAMPS)/torch pyproject.toml constraints.txt
	@echo "Installing pgcourse and JupyterLab"
	@$(PIP) --editable '.[lab]'
	@touch $@

$(STAMPS)/everything: $(STAMPS)/lab
	@echo "Installing what the tests and the grading need"
	@$(PIP) --editable '.[lab,grade,test,book]'
	@touch $@

$(STAMPS)/bench: $(STAMPS)/everything
	@echo "Installing our peers"
	@$(PIP) --editable '.[bench]'
	@touch $@

system-packages:
	@missing=""; for pair in $(SYSTEM_PACKAGES); do \
	command -v $${pair%:*} >/dev/null || missing="$$missing $${pair#*:}"; done; \
	[ -z "$$missing" ] && exit 0; \
	if [ "$$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo="sudo -n"; else sudo=none; fi; \
	if [ "$$sudo" = none ] || ! command -v apt-get >/dev/null; \
	then echo "The tests need these programs, please install them:$$missing"; exit 1; fi; \
	echo "Installing system packages:$$missing"; \
	{ $$sudo apt-get update -qq && $$sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing; } >/dev/null

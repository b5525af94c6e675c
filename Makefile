# make demo: a living city. make test: the proof. make help: the rest.
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
CITY ?=
HOME_DIR ?=
DATA ?=
PREFIX ?= /opt/cityloom
WITH ?=

# Modules are compiled once, whatever the shell says: the tests start hundreds of processes.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup web demo install test test-fast test-cluster test-spark faults browser check fix translations docs questions clients lock clean

help: ## what can be made
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "CityLoom needs Python 3.11 or newer: make PYTHON=python3.11 …")'
	@echo "Making an environment of its own in $(VENV) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.run: $(UV) uv.lock pyproject.toml
	@echo "Fetching what uv.lock names; the first time takes a while …"
	@$(UV) sync --frozen --inexact --group build
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(UV) sync --quiet --frozen --inexact --group build --group dev --extra postgres --extra nats --extra analytics --extra reports
	@touch $@

setup: $(VENV)/.dev web ## the environment for work on CityLoom itself

$(VENV)/.cluster: $(VENV)/.dev
	$(UV) sync --quiet --frozen --inexact --group build --group dev --group cluster --extra postgres --extra nats --extra analytics --extra reports
	@touch $@

WEB_SOURCES := $(shell find web -type f -not -path '*/node_modules/*' 2>/dev/null)
src/cityloom/web/static/built/.done: $(VENV)/.run $(WEB_SOURCES)
	$(BIN)/python web/build.py
	@touch $@

web: src/cityloom/web/static/built/.done ## the map, the charts and the live tiles

demo: $(VENV)/.run web ## a living demo city: make demo [CITY=aarhus|loomby] [DATA=folder] [HOME_DIR=…]
	@$(BIN)/cityloom demo $(CITY) $(if $(HOME_DIR),--home $(HOME_DIR)) $(if $(DATA),--data $(DATA))

install: $(VENV)/.run web ## CityLoom alone, for a machine that runs a city: make install PREFIX=/opt/cityloom [WITH='postgres nats']
	UV_PROJECT_ENVIRONMENT=$(abspath $(PREFIX)) $(UV) sync --quiet --frozen $(addprefix --extra ,$(WITH)) --no-editable --reinstall-package cityloom --python $(PYTHON)

browser: $(VENV)/.dev ## Chromium for the browser tests, where it is missing
	@$(BIN)/python tests/browser/install_chromium.py

test: $(VENV)/.dev web browser clients ## everything: shape, types, rooms, journeys, browser
	$(BIN)/lint-imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n 3 -m 'not cluster'

test-fast: $(VENV)/.dev ## without browser and fault tests
	$(BIN)/python -m pytest -n 3 -m 'not browser and not faults and not cluster'

test-cluster: $(VENV)/.cluster ## a city of many machines: real databases and message servers (root for the network's cuts)
	$(BIN)/python -m pytest -n 0 -m cluster

faults: $(VENV)/.dev ## 50 power cuts of a city and its kills, with bugs put in that must be found
	$(BIN)/python benchmarks/durability.py --cuts 5 --city-cuts 50 --city-kills 20

check: $(VENV)/.dev ## what pre-commit runs
	$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy && $(BIN)/lint-imports

fix: $(VENV)/.dev ## format, and mend what can be mended
	$(BIN)/ruff format . && $(BIN)/ruff check --fix .

translations: $(VENV)/.run ## bring the catalogs of texts up to date, and name what is not translated
	$(BIN)/python web/texts.py

docs: $(VENV)/.run ## write docs/reference again from the code
	$(BIN)/python -m cityloom.app.reference docs/reference

questions: $(VENV)/.dev ## make the texts of long questions anew of their expressions
	$(BIN)/python -m cityloom.adapters.sql.long_questions

clients: $(VENV)/.dev ## the clients that others wrote, for the tests of the interfaces, where they are missing
	$(UV) sync --quiet --frozen --inexact --group build --group dev --extra postgres --extra reports --group clients \
	  || echo "The clients of maps and sensors cannot be installed: their tests are skipped."
	@$(BIN)/python tests/other_clients.py

lock: $(UV) ## resolve the lock file again
	$(UV) lock --upgrade

test-spark: $(VENV)/.cluster ## the long questions on a Spark cluster of this machine (770 MB are fetched; Java 17)
	$(UV) sync --quiet --frozen --inexact --group build --group dev --group cluster --extra postgres --extra nats --extra analytics --extra reports --extra spark
	$(BIN)/python -m pytest -n 0 -rs tests/cluster/test_spark_archive.py

clean: ## remove what make has made (the demo's data too)
	rm -rf $(VENV) .cityloom web/node_modules src/cityloom/web/static/built

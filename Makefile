# Everything that is done to Tinsmith from a shell. `make help` lists it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/ready
# What `make fuzz` feeds to the importer.
RUNS ?= 1000000

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Make .venv with the tinsmith command and everything that tests need

$(READY): pyproject.toml tools/system_packages.sh
	@command -v $(PYTHON) >/dev/null || { echo "make setup: there is no $(PYTHON); Tinsmith needs Python 3.11 or newer" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "make setup: Tinsmith needs Python 3.11 or newer, and this is $$($(PYTHON) --version); name another with PYTHON=" >&2; exit 1; }
	@tools/system_packages.sh $(PYTHON)
	@echo "Installing Python packages into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@

.PHONY: demo
demo: setup ## Run a digit classifier on this computer and on an emulated Cortex-M4
	@$(BIN)/python -m tinsmith.demo

.PHONY: test
test: lint ## Check the style and run all tests
	$(BIN)/python -m pytest -n 2 -q

.PHONY: test-fast
test-fast: setup ## Run the tests that take seconds
	$(BIN)/python -m pytest -n 2 -q -m 'not slow'

.PHONY: lint
lint: setup ## Check style and types of the Python code
	$(BIN)/ruff check .
	$(BIN)/mypy

.PHONY: format
format: setup ## Format the Python code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: fuzz
fuzz: setup ## Feed damaged models to the importer; RUNS=1000000
	$(BIN)/python tests/fuzz/importer.py --runs $(RUNS)

.PHONY: bench
bench: setup ## Measure all models on all cores, and the peers; write bench/results.md, tables and charts
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python bench/run.py

.PHONY: charts
charts: setup ## Write tables and charts from bench/results.json, and the picture of plans
	@$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python bench/run.py --render

.PHONY: bench-diff
bench-diff: setup ## Measure again; fail if a committed figure got worse
	$(BIN)/python bench/diff.py

.PHONY: generate
generate: setup ## Write firmware/core/tin_ops.h and docs/ops.md anew from the table of ops
	$(BIN)/python -m tinsmith.generate

.PHONY: clean
clean: ## Remove what was built, .venv included
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .pio
	find . -name __pycache__ -prune -exec rm -rf {} +

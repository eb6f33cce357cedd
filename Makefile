# `make run` and `make test` are all the set-up there is: each makes its environment first.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run test test-fast lint format bench report clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

run: $(READY)  ## Train, probe and report on Snake with n = 5 (the laptop preset).
	$(BIN)/hessdiag run --env snake --n 5

test: $(READY)  ## Run the whole test suite.
	$(BIN)/pytest -n auto --dist loadfile

test-fast: $(READY)  ## Run the tests that take seconds.
	$(BIN)/pytest -n auto --dist loadfile -m 'not slow and not browser'

lint: $(READY)  ## Check style and types.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(READY)  ## Put the code into the house's format.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(READY)  ## Measure what README claims about speed; writes benchmarks/README.md.
	$(BIN)/python -m benchmarks.meta_gradient
	$(BIN)/python -m benchmarks.spectra
	$(BIN)/python -m benchmarks.default_run
	$(BIN)/python -m benchmarks.table

clean:  ## Remove the environment.
	rm -rf $(VENV)

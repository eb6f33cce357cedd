# `make run` and `make test` are all the set-up there is: each makes its environment first.
PYTHON ?=   # found by itself where it is not given
ARGS   ?=   # more flags of `hessdiag run` for `make run`
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
BENCH_VENV  := .venv-bench
BENCH       := $(BENCH_VENV)/bin/python
BENCH_READY := $(BENCH_VENV)/.ready

.DEFAULT_GOAL := help
.PHONY: help run test test-fast lint format docs bench clean

help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# An environment of the Python that is found, empty but for what every one has.
environment = python=$$(tools/find-python "$(PYTHON)") && "$$python" -m venv --clear

$(READY): pyproject.toml constraints.txt
	@$(environment) $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test,docs]'
	@touch $@

run: $(READY)  ## Train, probe and report on Snake with n = 5 (the laptop preset).
	$(BIN)/hessdiag run --env snake --n 5 $(ARGS)

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

docs: $(READY)  ## Make docs/settings.md, the list of problems, and the site in docs/_build/html.
	$(BIN)/python tools/settings_page.py > docs/settings.md
	$(BIN)/python tools/problems_list.py > hessdiag/problems/list.txt
	$(BIN)/sphinx-build -b html -W --keep-going -q -d docs/_build/doctrees docs docs/_build/html
	@echo site: docs/_build/html/index.html

# The libraries compared with have an environment of their own: PyTorch is no dependency.
$(BENCH_READY): pyproject.toml constraints.txt constraints-bench.txt
	@$(environment) $(BENCH_VENV)
	$(BENCH_VENV)/bin/pip install --quiet --disable-pip-version-check \
		-c constraints.txt -c constraints-bench.txt -e '.[test,bench]'
	@touch $@

bench: $(BENCH_READY)  ## Measure speed and conformance; writes benchmarks/README.md and docs/.
	$(BENCH) -m benchmarks.meta_gradient
	$(BENCH) -m benchmarks.spectra
	$(BENCH) -m benchmarks.probe_cost
	$(BENCH) -m benchmarks.mechanism_cost
	$(BENCH) -m benchmarks.iteration
	$(BENCH) -m benchmarks.parts_of_a_probe
	$(BENCH) -m benchmarks.lock_step
	$(BENCH) -m benchmarks.study_cores
	$(BENCH) -m benchmarks.many_cells
	$(BENCH) -m benchmarks.default_run
	$(BENCH) -m benchmarks.torch_snake
	$(BENCH) -m benchmarks.peers_spectra
	$(BENCH) -m benchmarks.large_spectra
	$(BENCH) -m benchmarks.conformance
	$(BENCH) -m benchmarks.table

clean:  ## Remove the environments and the site.
	rm -rf $(VENV) $(BENCH_VENV) docs/_build

# Every command makes its own environment: nothing has to be installed first but Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test test-fast lint format notebooks bench clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable ".[dev,notebooks]"
	touch $@

demo: $(VENV)/installed  ## SURE on real digits; leaves report/index.html
	$(RUN) -m sure_pyro demo

test: $(VENV)/installed  ## the whole test suite
	$(RUN) -m pytest -n 2

test-fast: $(VENV)/installed  ## without the slow tests
	$(RUN) -m pytest -n 2 -m "not slow"

lint: $(VENV)/installed  ## formatter, linter, types
	$(RUN) -m ruff format --check .
	$(RUN) -m ruff check .
	$(RUN) -m mypy

format: $(VENV)/installed
	$(RUN) -m ruff format .
	$(RUN) -m ruff check --fix .

notebooks: $(VENV)/installed  ## run every notebook from its source; fails on any error
	$(RUN) notebooks/run.py

bench: $(VENV)/installed  ## ratios against peers in one run, JSON under benchmarks/results/
	$(RUN) -m benchmarks

clean:
	rm -rf $(VENV) report build *.egg-info

# Every command makes its own environment: nothing has to be installed first but Python 3.11 or later.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

PYTHON312 ?= python3.12

.PHONY: demo test test-slow test-arviz lint format notebooks bench clean

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --constraint constraints.txt "torch==2.13.0"
	$(VENV)/bin/pip install --quiet --constraint constraints.txt --editable ".[dev,notebooks]"
	touch $@

demo: $(VENV)/installed  ## SURE on real digits; leaves report/index.html
	$(RUN) -m sure_pyro demo

test: $(VENV)/installed  ## all tests but the slow ones
	$(RUN) -m pytest -n 2 --dist loadfile -m "not slow"

test-slow: $(VENV)/installed  ## the others: several processes, many repetitions, whole runs
	$(RUN) -m pytest -n 2 -m slow

test-arviz:  ## the ArviZ export beside ArviZ 1.x, which needs Python 3.12 (and no torch)
	$(PYTHON312) -m venv $(VENV)-arviz
	$(VENV)-arviz/bin/pip install --quiet "arviz>=1" netcdf4 scipy jaxtyping matplotlib pytest
	$(VENV)-arviz/bin/python -m pytest --noconftest -c /dev/null --rootdir . -W error \
		tests/diagnostics/test_groups.py tests/diagnostics/test_adapter.py tests/diagnostics/test_pit.py

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
	rm -rf $(VENV) $(VENV)-arviz report build *.egg-info

# `make demo` sets everything up and answers the first question; `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
QUESTION ?= 如何解决Redis连接超时

.PHONY: demo test check lint evaluate bench crash clean

demo: $(VENV)/.demo
	$(BIN)/ragsearch ingest corpus/docs
	$(BIN)/ragsearch query "$(QUESTION)"

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2

check: lint test
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

evaluate: $(VENV)/.test
	$(BIN)/ragsearch evaluate corpus --split test --out runs/corpus

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks.start_up
	$(BIN)/python -m benchmarks.floors

crash: $(VENV)/.test
	$(BIN)/python -m tests.crash --kills 300

$(VENV)/.venv:
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.demo: $(VENV)/.venv pyproject.toml requirements/demo.txt
	$(PIP) --require-hashes -r requirements/demo.txt
	$(PIP) --no-deps --no-build-isolation -e .
	touch $@

$(VENV)/.test: $(VENV)/.demo requirements/test.txt
	$(PIP) --require-hashes -r requirements/test.txt
	touch $@

clean:
	rm -rf $(VENV) runs indexes/default

# `make demo` sets everything up and answers the first question; `make test` runs the tests.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
QUESTION ?= 如何解决Redis连接超时

.PHONY: demo test check lint evaluate bench crash clean

demo: $(VENV)/.demo
	$(BIN)/ragsearch ingest corpus/docs
	$(BIN)/ragsearch query "$(QUESTION)"

test: $(VENV)/.test
	$(BIN)/python -m pytest

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

$(VENV)/.demo: $(VENV)/.venv pyproject.toml
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cpu]'
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cpu,eval,test,lint]'
	touch $@

clean:
	rm -rf $(VENV) runs indexes/default

# make demo: remove and replace objects in the sample photos.  make test: the quick tests.
# make test-all: all tests.  make check: lint, types, import rules.  make bench: measure one removal.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal

.PHONY: demo test test-long test-all check bench clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/installed
	$(BIN)/python samples/demo.py

test: .venv/installed
	$(PYTEST) -m "not slow and not training"

test-long: .venv/installed
	$(PYTEST) -m "slow or training"

test-all: .venv/installed
	$(PYTEST)

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: .venv/installed
	$(BIN)/python benchmarks/end_to_end.py

clean:
	rm -rf .venv build dist out

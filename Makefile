# make demo: remove and replace objects in the sample photos.  make test: the quick tests.
# make test-all: all tests.  make test-core: an installation without extras, as the Dockerfile makes.
# make check: lint, types, import rules.  make bench: measure one removal.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest --numprocesses auto --dist worksteal

.PHONY: demo test test-long test-all test-core check bench clean

.venv/core: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -c constraints.txt -e .
	touch $@

.venv/installed: .venv/core
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/core
	$(BIN)/python samples/demo.py

test: .venv/installed
	$(PYTEST) -m "not slow and not training"

test-long: .venv/installed
	$(PYTEST) -m "slow or training"

test-all: .venv/installed
	$(PYTEST)

test-core: .venv/core
	rm -rf build/core
	$(BIN)/python tests/dockerfile.py build/core
	build/core/bin/pip install --quiet -c constraints.txt pytest
	build/core/bin/pytest --noconftest tests/core

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist
	$(BIN)/twine check --strict dist/*

bench: .venv/installed
	$(BIN)/python benchmarks/end_to_end.py

clean:
	rm -rf .venv build dist out

# make demo: see it work. make test: install and test. make check: lint, types. make bench: measure.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench clean

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet -c constraints.txt -e '.[dev]'
	touch $@

demo: .venv/installed
	$(BIN)/python samples/demo.py

test: .venv/installed
	$(BIN)/python -m pytest

check: .venv/installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

bench: .venv/installed
	$(BIN)/python benchmarks/end_to_end.py

clean:
	rm -rf .venv build dist out

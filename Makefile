# make demo: see it work. make test: install and test. make check: lint, types. make bench: measure.
# make train: our own segmenter, hours on a GPU; again to go on.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test check bench train clean

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

train: .venv/installed
	$(BIN)/python models/train/train.py --out out/full

clean:
	rm -rf .venv build dist out

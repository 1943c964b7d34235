"""The notebook of the documentation runs as it is stored, and is stored without outputs."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from segment2inpaint import Result

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "docs" / "notebook.ipynb"
MAX_BYTES = 10_000


def cells() -> list[dict[str, Any]]:
    return list(json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"])


def run_cell(source: str, names: dict[str, Any]) -> Any:
    """Run a cell as Jupyter does, and return the value of its last line."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, NOTEBOOK.name, "exec"), names)
    if not isinstance(last, ast.Expr):
        return None
    return eval(compile(ast.Expression(last.value), NOTEBOOK.name, "eval"), names)


@pytest.mark.slow
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "samples").symlink_to(ROOT / "samples")
    (tmp_path / "docs").mkdir()
    monkeypatch.chdir(tmp_path / "docs")
    names: dict[str, Any] = {}
    sources = ["".join(cell["source"]) for cell in cells() if cell["cell_type"] == "code"]
    shown = [value for source in sources if (value := run_cell(source, names)) is not None]
    results = [value for value in shown if isinstance(value, Result)]
    assert len(results) == 3
    assert all(result._repr_png_().startswith(b"\x89PNG") for result in results)
    assert results[0].verdict == "clean"
    assert (tmp_path / "docs" / "lawn.jpg").exists()


def test_the_notebook_is_stored_small_and_without_outputs() -> None:
    """In the fields of nbformat 4.5, which Jupyter requires."""
    assert NOTEBOOK.stat().st_size < MAX_BYTES
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in cells()}) == len(cells())
    for cell in cells():
        assert set(cell) - {"cell_type", "id", "metadata", "source"} == (
            {"execution_count", "outputs"} if cell["cell_type"] == "code" else set()
        )
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None

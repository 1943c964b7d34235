"""The walls between modules: imports point down, no circles, heavy libraries are loaded late."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = "segment2inpaint"

# Lowest first. A module imports from lower layers and from its own stage, never upwards and never
# from another stage of its layer.
LAYERS = (
    ("errors",),
    ("types",),
    ("protocols", "backgrounds"),
    ("images", "masks", "window", "request", "models"),
    ("networks", "edge_refine", "conversions"),
    ("detect", "effects", "inpaint"),
    ("verify",),
    ("attempts", "batching", "result"),
    ("regions", "compositing"),
    ("pipeline",),
    ("editor",),
    ("api",),
    ("dataset",),
    ("web",),
    ("cli",),
    ("__main__",),
)
LAYER = {stage: number for number, stages in enumerate(LAYERS) for stage in stages}
BACKENDS = {
    "detect": ("builtin", "sam", "text", "color", "clean_plate", "find", "user_mask"),
    "inpaint": ("exemplar", "diffusion", "lama", "migan", "obscure", "opencv"),
}
HEAVY = {
    "torch", "torchvision", "diffusers", "transformers", "segment_anything", "accelerate",
    "fastapi", "ray", "numba", "pymatting", "scipy",
}  # fmt: skip


def modules(root: Path) -> dict[str, Path]:
    """Return the files of the package in ``root`` by dotted name."""
    names = {}
    for path in (root / PACKAGE).rglob("*.py"):
        parts = path.relative_to(root).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return names


def imported(path: Path, known: Iterable[str]) -> Iterator[str]:
    """Yield the modules of the package that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names if a.name.partition(".")[0] == PACKAGE)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if base.partition(".")[0] == PACKAGE:
                inner = [f"{base}.{a.name}" for a in node.names]
                yield from (name if name in known else base for name in inner)


def early_imports(path: Path) -> Iterator[str]:
    """Yield the libraries imported with the file: outside functions and TYPE_CHECKING."""
    queue: list[ast.AST] = [ast.parse(path.read_text())]
    while queue:
        for node in ast.iter_child_nodes(queue.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            if isinstance(node, ast.Import):
                yield from (a.name.partition(".")[0] for a in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield (node.module or "").partition(".")[0]
            queue.append(node)


def stage(name: str) -> str:
    """Return the entry of ``LAYERS`` that a module belongs to; empty for the package itself."""
    return [*name.split("."), ""][1]


def backend(name: str) -> str:
    """Return the backend of a detector or inpainter module; empty for shared modules."""
    part = [*name.split("."), "", ""][2]
    return part if part in BACKENDS.get(stage(name), ()) else ""


def faults(graph: Mapping[str, set[str]]) -> Iterator[str]:
    """Yield each import that the rules forbid, and the first circle."""
    for name, targets in graph.items():
        for target in targets - {name}:
            if not allowed(name, target):
                yield f"{name} must not import {target}"
    try:
        list(TopologicalSorter({k: v - {k} for k, v in graph.items()}).static_order())
    except CycleError as error:
        yield f"circle: {' -> '.join(error.args[1])}"


def allowed(name: str, target: str) -> bool:
    here, there = stage(name), stage(target)
    if not here:  # the package's own __init__, which imports when a name is first used
        return True
    if here == there:
        pair = {backend(name), backend(target)} - {""}
        return len(pair) < 2
    return LAYER[here] > LAYER[there] if there else LAYER[here] >= LAYER["cli"]


MODULES = modules(ROOT)
GRAPH = {name: set(imported(path, MODULES)) for name, path in MODULES.items()}
GRAPH[PACKAGE] = set()


def test_imports_point_down_without_circles() -> None:
    """File by file: only lower layers, no other backend, no circle."""
    assert list(faults(GRAPH)) == []


def test_every_module_has_its_layer() -> None:
    """At the root of the package stand only the flow and its nouns."""
    assert {stage(name) for name in MODULES} - {""} == LAYER.keys()


@pytest.mark.parametrize("name", MODULES)
def test_heavy_libraries_are_loaded_late(name: str) -> None:
    """Only backends and the server, themselves loaded late, import them at the top."""
    if stage(name) not in ("detect", "inpaint", "web") or MODULES[name].name == "__init__.py":
        assert not HEAVY & set(early_imports(MODULES[name]))


def test_the_rules_find_planted_faults(tmp_path: Path) -> None:
    """An upward import, a foreign backend, a circle and an early torch are all seen."""
    package = tmp_path / PACKAGE
    (package / "detect").mkdir(parents=True)
    texts = {
        "masks.py": f"from {PACKAGE}.pipeline import Pipeline\nimport torch.nn\n",
        "pipeline.py": f"from {PACKAGE} import masks\n",
        "detect/color.py": f"def f():\n    from {PACKAGE}.detect import user_mask\n",
        "detect/user_mask.py": "",
    }
    for file, text in texts.items():
        (package / file).write_text(text)
    known = modules(tmp_path)
    found = list(faults({name: set(imported(path, known)) for name, path in known.items()}))
    assert len(found) == 3
    assert f"{PACKAGE}.masks must not import {PACKAGE}.pipeline" in found
    assert f"{PACKAGE}.detect.color must not import {PACKAGE}.detect.user_mask" in found
    assert any(line.startswith("circle: ") for line in found)
    assert list(early_imports(package / "masks.py")) == [PACKAGE, "torch"]

"""The walls between modules: imports point downwards, and heavy libraries are loaded late."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from segment2inpaint import detect, inpaint

PACKAGE = Path(__file__).parent.parent / "segment2inpaint"

LAYERS = [
    {"types"},
    {
        "images",
        "masks",
        "window",
        "catalogue",
        "device",
        "request",
        "edges",
        "outline",
        "effect",
        "evidence",
        "networks",
        "frames",
        "libraries",
    },
    {"download", "shadow", "salient"},
    {"clicked"},
    {"detect", "inpaint", "verify", "together"},
    {"attempts", "overlay"},
    {"pipeline"},
    {"editor"},
    {"dataset"},
    {"web"},
    {"cli"},
    {"__init__", "__main__"},
]
LAYER = {name: i for i, names in enumerate(LAYERS) for name in names}
HEAVY = {
    "torch", "torchvision", "diffusers", "transformers", "segment_anything", "accelerate",
    "fastapi", "ray", "numba",
}  # fmt: skip
FILES = sorted(p for p in PACKAGE.rglob("*.py") if "__pycache__" not in p.parts)


def top(path: Path) -> str:
    """The module of the table above that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def own_imports(path: Path, package: Path = PACKAGE) -> Iterator[str]:
    """Dotted names inside the package that a file imports, anywhere in it."""
    depth = len(path.relative_to(package).parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            up = list(path.relative_to(package).parts[: depth - node.level])
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield from [base] if node.module else [".".join([*up, a.name]) for a in node.names]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package.name):
            yield (node.module or "").removeprefix(package.name).lstrip(".")
        elif isinstance(node, ast.Import):
            yield from (a.name[16:] for a in node.names if a.name.startswith(package.name + "."))


def early_imports(path: Path) -> Iterator[str]:
    """Libraries that importing the file imports: those outside functions and TYPE_CHECKING."""
    queue: list[ast.AST] = [ast.parse(path.read_text())]
    while queue:
        for node in ast.iter_child_nodes(queue.pop()):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            if isinstance(node, ast.Import):
                yield from (a.name.partition(".")[0] for a in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield (node.module or "").partition(".")[0]
            queue.append(node)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_down(path: Path) -> None:
    """A module has a layer, and imports from lower ones only."""
    assert top(path) in LAYER, f"give {top(path)} its layer"
    for name in own_imports(path):
        target = name.partition(".")[0] or "__init__"
        if target == top(path) or path.name == "__main__.py":
            continue
        if target in ("__init__", "__version__"):
            assert LAYER[top(path)] >= LAYER["cli"], f"{path} must not import the package"
            continue
        assert LAYER.get(target, 99) < LAYER[top(path)], f"{path.name} must not import {name}"


@pytest.mark.parametrize(
    ("family", "table"), [("detect", detect.DETECTORS), ("inpaint", inpaint.INPAINTERS)]
)
def test_backends_do_not_import_each_other(family: str, table: dict[str, str]) -> None:
    """What the table names is nobody's library; the parts of backends may be shared."""
    backends = {place.partition(":")[0] for place in table.values()}
    for path in (PACKAGE / family).glob("*.py"):
        inner = {n.partition(".")[2] for n in own_imports(path) if n.startswith(family + ".")}
        assert not inner & backends, f"{path.name} imports {inner & backends}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_heavy_libraries_are_loaded_late(path: Path) -> None:
    """Nothing but backends and the server, themselves loaded late, imports them at the top."""
    if top(path) not in ("detect", "inpaint", "web") or path.name == "__init__.py":
        assert not HEAVY & set(early_imports(path))


def test_the_rule_sees_what_it_should(tmp_path: Path) -> None:
    """The checks above are not blind: planted faults are found."""
    planted = tmp_path / "segment2inpaint" / "masks.py"
    planted.parent.mkdir()
    planted.write_text(
        "from .pipeline import Pipeline\nfrom . import detect\nimport torch.nn\n"
        "def f():\n    import ray\n"
    )
    assert list(own_imports(planted, planted.parent)) == ["pipeline", "detect"]
    assert list(early_imports(planted)) == ["torch"]

"""The walls between modules: imports point down, no circles, heavy libraries are loaded late.

The core imports what it declares, and the packages of an extra only where that extra is at home.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from segment2inpaint.extras import EXTRAS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parent.parent
PACKAGE = "segment2inpaint"

# Lowest first. A module imports from lower layers and from its own stage, never upwards and never
# from another stage of its layer.
LAYERS = (
    ("errors",),
    ("types",),
    ("protocols", "backgrounds", "placements", "extras", "judgement"),
    ("images", "masks", "window", "request", "models"),
    ("networks", "edge_refine", "conversions"),
    ("detect", "effects", "inpaint"),
    ("verify", "compositing"),
    ("attempts", "batching", "result"),
    ("regions", "mending", "overlay"),
    ("pipeline",),
    ("editor",),
    ("api",),
    ("dataset",),
    ("web", "mcp"),
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

# Modules of a distribution whose names differ from its own, and those that it always brings.
PROVIDES = {
    "fastapi": ("fastapi", "starlette", "pydantic", "anyio"),
    "opencv-python-headless": ("cv2",),
    "pillow": ("PIL",),
    "pymatting": ("pymatting", "scipy"),
    "pyyaml": ("yaml",),
}
# The package of an extra -> the files and folders that may import it. The plugins of heif and jxl
# are imported by name, and what of models needs timm and peft are libraries.
OPTIONAL = {
    "models": (
        "detect/sam/", "detect/text/", "detect/transformers_loading.py", "inpaint/diffusion/",
        "inpaint/lama/", "inpaint/torch_archive.py",
        "models/device.py", "models/download.py", "models/quiet.py",
    ),
    "matting": ("compositing/matting.py",),
    "mcp": ("mcp/server.py", "cli/mcp.py"),
    "parquet": (
        "dataset/formats/shards.py", "dataset/inputs.py", "dataset/manifest.py",
        "dataset/pair_files.py", "dataset/ray_backend.py",
    ),
    "datasets": ("dataset/manifest.py",),
    "ray": ("dataset/ray_backend.py",),
    "quantize": ("inpaint/diffusion/",),
}  # fmt: skip
UNDECLARED = {"supervision": "result.py"}  # the caller's own package, for a result in its type


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


def third_party(path: Path) -> set[str]:
    """Return the libraries that a file imports when it runs, anywhere in it, by top-level name."""
    found = set()
    queue: list[ast.AST] = [ast.parse(path.read_text())]
    while queue:
        for node in ast.iter_child_nodes(queue.pop()):
            if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
                continue
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                found.add((node.module or "").partition(".")[0])
            queue.append(node)
    return found - {PACKAGE, *sys.stdlib_module_names}


def provided(requirements: Iterable[str]) -> set[str]:
    """Return the top-level modules of requirements such as ``numpy>=1.26``."""
    names = {re.split(r"[^\w.-]", requirement)[0].lower() for requirement in requirements}
    return {module for n in names for module in PROVIDES.get(n, (n.replace("-", "_"),))}


def misplaced(name: str, libraries: Iterable[str]) -> Iterator[str]:
    """Yield the libraries that a file (relative to the package) must not import."""
    homes = {
        module: [home for extra, places in OPTIONAL.items() for home in places
                 if module in provided(EXTRA_REQUIREMENTS[extra])]
        for module in libraries
    }  # fmt: skip
    for module in sorted(set(libraries) - provided(PROJECT["dependencies"])):
        at_home = any(name.startswith(home) for home in homes[module])
        if not at_home and UNDECLARED.get(module) != name:
            yield module


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


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRA_REQUIREMENTS = PROJECT["optional-dependencies"]
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


@pytest.mark.parametrize("name", MODULES)
def test_libraries_are_declared_and_those_of_extras_stay_at_home(name: str) -> None:
    path = MODULES[name]
    relative = path.relative_to(ROOT / PACKAGE).as_posix()
    assert list(misplaced(relative, third_party(path))) == []


def test_each_extra_is_in_the_table_that_doctor_prints() -> None:
    """Their modules are those of pyproject.toml; ``all`` has every extra that is not GPL."""
    lists = {name: set(found) for name, found in EXTRA_REQUIREMENTS.items()}
    assert EXTRAS.keys() == lists.keys() - {"all", "dev", "train"}
    inherited = f"{PACKAGE}[models]"
    for name, extra in EXTRAS.items():
        own = provided(lists[name] - {inherited}) - {"scipy"}
        with_models = set(EXTRAS["models"].modules) if inherited in lists[name] else set()
        renamed = {"pillow_jxl" if module == "pillow_jxl_plugin" else module for module in own}
        assert set(extra.modules) == renamed | with_models, name
    (everything,) = lists["all"]
    names = set(everything.removeprefix(f"{PACKAGE}[").removesuffix("]").split(","))
    assert names == EXTRAS.keys() - {"jxl"}


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
    assert third_party(package / "masks.py") == {"torch"}
    assert list(misplaced("masks.py", {"torch", "numpy", "unknown"})) == ["torch", "unknown"]
    assert list(misplaced("detect/sam/model.py", {"torch", "pyarrow"})) == ["pyarrow"]

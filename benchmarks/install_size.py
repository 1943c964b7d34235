"""Measure the disk space and the time of ``pip install segment2inpaint`` and of its extras.

    python benchmarks/install_size.py [EXTRA ...]

It builds the wheel, installs it into a fresh environment for the core and one for each EXTRA (all
that ``segment2inpaint/extras.py`` lists, if none is given), and prints MB, what they are more than
the core, and seconds. The seconds include the downloads. The largest packages of the core follow.
Each environment is deleted before the next one is made; [models] needs 7 GB.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from time import perf_counter

from segment2inpaint.extras import EXTRAS

ROOT = Path(__file__).parent.parent
LARGEST = 12  # packages of the core in the list
MB = 1e6


def main() -> None:
    extras = sys.argv[1:] or list(EXTRAS)
    with tempfile.TemporaryDirectory() as folder:
        wheel = build_wheel(Path(folder))
        core, seconds, packages = measure(str(wheel), Path(folder))
        print(f"| install | MB | more than the core | s |\n|---|---|---|---|\n"
              f"| core | {core / MB:.0f} | | {seconds:.0f} |", flush=True)  # fmt: skip
        for extra in extras:
            size, seconds, _ = measure(f"{wheel}[{extra}]", Path(folder))
            more = (size - core) / MB
            print(f"| [{extra}] | {size / MB:.0f} | {more:.0f} | {seconds:.0f} |", flush=True)
    print("\n| package of the core | MB |\n|---|---|")
    for name, size in sorted(packages.items(), key=lambda item: -item[1])[:LARGEST]:
        print(f"| {name} | {size / MB:.0f} |")


def build_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into ``folder``; return its path."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def measure(requirement: str, folder: Path) -> tuple[int, float, dict[str, int]]:
    """Install a requirement into a new environment in ``folder``, and delete that.

    Return its bytes on disk, the seconds of making it, and the bytes of each installed folder.
    """
    with tempfile.TemporaryDirectory(dir=folder) as target:
        start = perf_counter()
        venv.create(target, with_pip=True)
        python = Path(target, "Scripts" if sys.platform == "win32" else "bin", "python")
        subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
        seconds = perf_counter() - start
        (site,) = Path(target).glob("[Ll]ib/**/site-packages")
        packages = {path.name: disk_bytes(path) for path in site.iterdir()}
        return disk_bytes(Path(target)), seconds, packages


def disk_bytes(path: Path) -> int:
    """Return the bytes that a file or folder takes on disk; links are not followed."""
    files = [path] if path.is_file() else [p for p in path.rglob("*") if not p.is_symlink()]
    return sum(file.lstat().st_blocks * 512 for file in files)


if __name__ == "__main__":
    main()

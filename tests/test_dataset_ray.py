"""The same run on Ray: lost workers, a lost node, photos that kill their process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from many import finished, manifest, tree, without_times
from test_dataset_kill import command, deadly, photos, records, run

pytest.importorskip("ray", reason="Ray is not installed: pip install 'segment2inpaint[ray]'")
pytestmark = pytest.mark.slow

__all__ = ["deadly"]  # a fixture

# Two nodes on this machine. After some photos the workers of one are killed, after some more the
# other node; all the while photos that end their process are met.
CLUSTER = """
import json, os, signal, subprocess, sys
from ray.cluster_utils import Cluster
from segment2inpaint import Color, Request, dataset

def actors():
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{pid}/cmdline", "rb").read()
        except OSError:
            continue
        if words.startswith(b"ray::MapWorker"):
            found.append(int(pid))
    return found

source, out = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={
    "num_cpus": 2, "include_dashboard": False,
    "_system_config": {"health_check_period_ms": 500, "health_check_failure_threshold": 3},
})
second = cluster.add_node(num_cpus=2)
cluster.wait_for_nodes()
request = Request((Color(rgb=(220, 30, 30), tolerance=30.0),), inpainter="telea", verify=False)
effort = dataset.Effort(engine="ray", address=cluster.address, workers=2, block=8)
told = []
killed = 0
for outcome in dataset.run(source, request, out, effort=effort):
    told.append(outcome.output)
    if len(told) >= 20 and not killed:
        victims = actors()
        os.kill(victims[0], signal.SIGKILL)
        killed = len(victims)
    if len(told) >= 60 and second:
        cluster.remove_node(second, allow_graceful=False)
        second = None
print(json.dumps({"told": len(told), "twice": len(told) - len(set(told)), "killed": killed,
                  "second": second is None}), flush=True)
os._exit(0)  # what is left of the cluster dies with its driver
"""


def test_the_same_as_on_one_machine(tmp_path: Path) -> None:
    """Outputs and manifest, a broken photo included; started again, nothing is done."""
    source = photos(tmp_path / "in", 40, broken=2)
    assert run(command(source, tmp_path / "local")).returncode == 3
    ray = run(command(source, tmp_path / "ray", "--engine", "ray"))
    assert ray.returncode == 3, ray.stderr
    assert tree(tmp_path / "ray") == tree(tmp_path / "local")
    assert without_times(tmp_path / "ray") == without_times(tmp_path / "local")
    again = run(command(source, tmp_path / "ray"))
    assert again.returncode == 3
    assert "failed: " not in again.stderr


def test_lost_workers_and_a_lost_node(tmp_path: Path, deadly: dict[str, str]) -> None:
    source = photos(tmp_path / "in", 120)
    (source / "1/exit.png").write_bytes(b"exit")
    (source / "3/kill.png").write_bytes(b"kill")
    out = tmp_path / "out"
    result = subprocess.run(
        [sys.executable, "-c", CLUSTER, source, out],
        env={**deadly, "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["killed"] >= 1, "no actor was found to kill"
    assert answer["second"], "the run was over before the node was killed"
    assert answer["twice"] == 0
    told = {row["output"]: row["status"] for row in manifest(out)}
    assert len(told) == answer["told"] == 122
    bad = {name: status for name, status in told.items() if status != "done"}
    assert bad == {"1/exit.png": "quarantined", "3/kill.png": "quarantined"}
    for name in ("1/exit.png", "3/kill.png"):
        (source / name).unlink()
    assert run(command(source, tmp_path / "local")).returncode == 0
    assert tree(out) == tree(tmp_path / "local")
    assert not list(out.rglob("*.part"))


def test_a_killed_driver(tmp_path: Path) -> None:
    """What Ray's workers had finished by then is not done again, here without Ray."""
    source = photos(tmp_path / "in", 200)
    out = tmp_path / "out"
    words = command(source, out, "--engine", "ray", "--block", 8)
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        while finished(out) < 80:
            time.sleep(0.05)
        process.kill()
    time.sleep(5)  # its workers find out that they are alone
    before = {name: (out / name).stat().st_mtime_ns for name in tree(out)}
    told = {str(record["output"]) for record in records(out)}
    assert run(command(source, out)).returncode == 0
    assert len(told) >= 20
    assert all((out / name).stat().st_mtime_ns == before[name] for name in told)
    assert run(command(source, tmp_path / "local")).returncode == 0
    assert tree(out) == tree(tmp_path / "local")
    assert without_times(out) == without_times(tmp_path / "local")


def test_no_cluster_at_the_address(tmp_path: Path) -> None:
    source = photos(tmp_path / "in", 1)
    words = command(source, tmp_path / "out", "--engine", "ray", "--address", "127.0.0.1:1")
    result = run(words)
    assert result.returncode == 1, result.stderr
    assert "no Ray cluster at 127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr

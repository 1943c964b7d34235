"""Runs on Ray: lost workers, a lost node, photos that crash their process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from crashing_photos import batch_command, crash_environment, read_log, run_command, save_photos
from dataset_photos import count_outputs, output_files, read_manifest, rows_without_times

pytest.importorskip("ray", reason="Ray is not installed: pip install 'segment2inpaint[ray]'")
pytestmark = pytest.mark.slow

# Runs on two nodes of this machine. After 20 photos a worker is killed, and after 60 the second
# node. Some photos crash the process that reads them.
CLUSTER = """
import json, os, signal, subprocess, sys
from ray.cluster_utils import Cluster
from segment2inpaint import Color, Request, dataset

def actors():
    pids = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = open(f"/proc/{pid}/cmdline", "rb").read()
        except OSError:
            continue
        if command.startswith(b"ray::MapWorker"):
            pids.append(int(pid))
    return pids

source, out = sys.argv[1:]
cluster = Cluster(initialize_head=True, head_node_args={
    "num_cpus": 2, "include_dashboard": False,
    "_system_config": {"health_check_period_ms": 500, "health_check_failure_threshold": 3},
})
second = cluster.add_node(num_cpus=2)
cluster.wait_for_nodes()
request = Request((Color(rgb=(220, 30, 30), tolerance=30.0),), inpainter="telea", verify=False)
execution = dataset.ExecutionOptions(
    engine="ray", address=cluster.address, workers=2, block=8
)
outputs = []
killed = 0
for outcome in dataset.run(source, request, out, execution=execution):
    outputs.append(outcome.output)
    if len(outputs) >= 20 and not killed:
        victims = actors()
        os.kill(victims[0], signal.SIGKILL)
        killed = len(victims)
    if len(outputs) >= 60 and second:
        cluster.remove_node(second, allow_graceful=False)
        second = None
print(json.dumps({
    "outputs": len(outputs), "repeated": len(outputs) - len(set(outputs)), "killed": killed,
    "node_removed": second is None,
}), flush=True)
os._exit(0)  # the rest of the cluster ends with its driver
"""


def test_results_equal_those_of_one_machine(tmp_path: Path) -> None:
    """Outputs and manifest are equal, also for broken photos, and a second run does nothing."""
    source = save_photos(tmp_path / "in", 40, broken=2)
    assert run_command(batch_command(source, tmp_path / "local")).returncode == 3
    ray = run_command(batch_command(source, tmp_path / "ray", "--engine", "ray"))
    assert ray.returncode == 3, ray.stderr
    assert output_files(tmp_path / "ray") == output_files(tmp_path / "local")
    assert rows_without_times(tmp_path / "ray") == rows_without_times(tmp_path / "local")
    again = run_command(batch_command(source, tmp_path / "ray"))
    assert again.returncode == 3
    assert "failed: " not in again.stderr


def test_photos_of_lost_workers_and_nodes_are_processed(tmp_path: Path) -> None:
    source = save_photos(tmp_path / "in", 120)
    (source / "1/exit.png").write_bytes(b"exit")
    (source / "3/kill.png").write_bytes(b"kill")
    out = tmp_path / "out"
    result = subprocess.run(
        [sys.executable, "-c", CLUSTER, source, out],
        env={**crash_environment(tmp_path), "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True, text=True, timeout=400,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-3000:]
    answer = json.loads(result.stdout.splitlines()[-1])
    assert answer["killed"] >= 1, "no actor was found to kill"
    assert answer["node_removed"], "the run was over before the node was killed"
    assert answer["repeated"] == 0
    statuses = {row["output"]: row["status"] for row in read_manifest(out)}
    assert len(statuses) == answer["outputs"] == 122
    failed = {name: status for name, status in statuses.items() if status != "done"}
    assert failed == {"1/exit.png": "quarantined", "3/kill.png": "quarantined"}
    for name in ("1/exit.png", "3/kill.png"):
        (source / name).unlink()
    assert run_command(batch_command(source, tmp_path / "local")).returncode == 0
    assert output_files(out) == output_files(tmp_path / "local")
    assert not list(out.rglob("*.part"))


def test_a_run_whose_driver_was_killed_resumes_without_ray(tmp_path: Path) -> None:
    """Photos that Ray's workers had finished are not processed again."""
    source = save_photos(tmp_path / "in", 200)
    out = tmp_path / "out"
    command = batch_command(source, out, "--engine", "ray", "--block", 8)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while count_outputs(out) < 80:
            time.sleep(0.05)
        process.kill()
    time.sleep(5)  # until its workers notice
    before = {name: (out / name).stat().st_mtime_ns for name in output_files(out)}
    recorded = {str(record["output"]) for record in read_log(out)}
    assert run_command(batch_command(source, out)).returncode == 0
    assert len(recorded) >= 20
    assert all((out / name).stat().st_mtime_ns == before[name] for name in recorded)
    assert run_command(batch_command(source, tmp_path / "local")).returncode == 0
    assert output_files(out) == output_files(tmp_path / "local")
    assert rows_without_times(out) == rows_without_times(tmp_path / "local")


def test_an_address_without_a_cluster_is_reported(tmp_path: Path) -> None:
    source = save_photos(tmp_path / "in", 1)
    command = batch_command(source, tmp_path / "out", "--engine", "ray", "--address", "127.0.0.1:1")
    result = run_command(command)
    assert result.returncode == 1, result.stderr
    assert "no Ray cluster at 127.0.0.1:1" in result.stderr
    assert "Traceback" not in result.stderr

"""``batch --retry-doubtful``: each doubtful photo is tried again in the way that may mend it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from dataset_photos import NO_WORKERS, batch, modification_times, output_photos, read_manifest
from made_checks import make_check

from segment2inpaint.dataset import results_log, retries
from segment2inpaint.dataset.formats.annotations import AnnotationFilter
from segment2inpaint.dataset.formats.registry import open_source
from segment2inpaint.dataset.plan import RunPlan
from segment2inpaint.dataset.run_types import RunSettings
from segment2inpaint.errors import BadOption
from segment2inpaint.judgement import Judgement
from segment2inpaint.verify import acceptance

OPTIONS = ("--color", "#dc1e1e", "--inpainter", "telea", *NO_WORKERS)


class GivenJudge:
    """Judges every result alike: its mask is too small, with ``probability``."""

    probability = 0.4

    def __call__(self, checks: object) -> Judgement:
        (reason,) = [check for check in checks if check.name == "leftover"]  # type: ignore[attr-defined]
        return Judgement("doubtful", self.probability, reason, "a part may be left")


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> GivenJudge:
    given = GivenJudge()
    monkeypatch.setattr(acceptance, "judge", given)
    return given


def test_a_better_result_replaces_the_doubtful_one(
    photo_folder: Path, tmp_path: Path, judge: GivenJudge
) -> None:
    out = tmp_path / "out"
    batch(photo_folder, out, *OPTIONS)
    first = read_manifest(out)
    assert {row["verdict"] for row in first} == {"doubtful"}
    assert {row["action"]["name"] for row in first} == {"grow-mask"}
    judge.probability = 0.6
    again = batch(photo_folder, out, *OPTIONS, "--retry-doubtful")
    assert again.exit_code == 0
    assert f"{len(first)} photos with a doubtful result to try again" in again.stderr
    for row, before in zip(read_manifest(out), first, strict=True):
        assert row["probability"] == 0.6
        assert row["changed"] > before["changed"]
        assert row["actions"] == [before["action"]]
        assert row["action"]["dilate"] == pytest.approx(2 * before["action"]["dilate"], abs=0.2)
        assert row["request"] == before["request"]


def test_a_result_that_is_no_better_is_not_kept_and_not_tried_again(
    photo_folder: Path, tmp_path: Path, judge: GivenJudge
) -> None:
    out = tmp_path / "out"
    batch(photo_folder, out, *OPTIONS)
    times = modification_times(out)
    judge.probability = 0.3
    assert batch(photo_folder, out, *OPTIONS, "--retry-doubtful").exit_code == 0
    assert all(modification_times(out)[name] == times[name] for name in output_photos(out))
    assert all(row["action"] is None for row in read_manifest(out))
    assert all(row["probability"] == 0.4 for row in read_manifest(out))
    third = batch(photo_folder, out, *OPTIONS, "--retry-doubtful")
    assert "no doubtful result" in third.stderr


def test_a_run_without_the_option_leaves_doubtful_results_alone(
    photo_folder: Path, tmp_path: Path, judge: GivenJudge
) -> None:
    out = tmp_path / "out"
    batch(photo_folder, out, *OPTIONS)
    judge.probability = 0.6
    batch(photo_folder, out, *OPTIONS)
    assert all(row["probability"] == 0.4 for row in read_manifest(out))


def test_the_report_filters_by_action(
    photo_folder: Path, tmp_path: Path, judge: GivenJudge
) -> None:
    out = tmp_path / "out"
    batch(photo_folder, out, *OPTIONS)
    page = (out / "report.html").read_text()
    start = page.index('id="data">') + len('id="data">')
    data = json.loads(page[start : page.index("</script>", start)])
    assert data["actions"] == {"grow-mask": len(data["cards"])}
    assert all("Try: grow the mask" in card["caption"] for card in data["cards"])


def test_a_retry_that_fails_leaves_the_earlier_results(
    photo_folder: Path, tmp_path: Path, judge: GivenJudge, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    batch(photo_folder, out, *OPTIONS)
    before, times = read_manifest(out), modification_times(out)

    def fail(*_: object) -> None:
        raise BadOption("cannot be done")

    monkeypatch.setattr(retries, "mend_steps", fail)
    result = batch(photo_folder, out, *OPTIONS, "--retry-doubtful")
    assert result.exit_code == 0
    after = read_manifest(out)
    assert [row["status"] for row in after] == [row["status"] for row in before]
    assert all(modification_times(out)[name] == times[name] for name in output_photos(out))


def test_the_photos_that_a_stopped_retry_has_not_reached_stay_in_the_manifest(
    photo_folder: Path, tmp_path: Path, judge: GivenJudge
) -> None:
    out = tmp_path / "out"
    batch(photo_folder, out, *OPTIONS)
    settings = RunSettings(str(out))
    reader = open_source(
        str(photo_folder), {"prompts": [{"color": {"rgb": [220, 30, 30]}}]}, format="auto",
        annotation_filter=AnnotationFilter(), root=None, globs=(), out=str(out),
    )  # fmt: skip
    with RunPlan(tmp_path / "plan.sqlite", settings, lambda _: {}) as plan:
        plan.read_source(reader)
        plan.add_records(results_log.read_records(str(out)))
        stored = [record["output"] for record in plan.records()]
        plan._database.execute("insert into retries select output, record from done")
        plan._database.execute("delete from done")
        assert [record["output"] for record in plan.records()] == stored


def test_an_action_whose_model_is_missing_is_not_taken() -> None:
    action = {"name": "other-fill", "inpainter": "lama", "options": "", "sentence": ""}
    assert not retries.is_mendable({"rows": [{"action": action}]})
    assert retries.is_mendable({"rows": [{"action": {**action, "inpainter": "ns"}}]})


def test_a_result_is_not_better_than_its_own_record(judge: GivenJudge) -> None:
    check = make_check("leftover", 0.6)
    judge.probability = 0.50049
    result = SimpleNamespace(verdict="doubtful", judgement=judge([check]))
    rows = [{"verdict": "doubtful", "probability": 0.5}, {"verdict": None}]
    assert not retries.is_better([result], {"rows": rows})  # type: ignore[list-item]
    failed = SimpleNamespace(verdict="failed", judgement=Judgement("failed", 0.9, check, ""))
    assert not retries.is_better([failed], {"rows": rows})  # type: ignore[list-item]

"""``report.html``: its data, and the page in a real browser."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
from click.testing import CliRunner
from dataset_photos import NO_WORKERS, batch, batch_red, save_photo
from PIL import Image

from segment2inpaint.cli import main
from segment2inpaint.dataset import comparison, report_cards

CHROMIUM = shutil.which("chromium")
HOSTILE = "</script><img src=x onerror=alert(1)>.png"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results of every kind: clean, failed checks, broken file, copied."""
    home = tmp_path_factory.mktemp("report")
    for number in range(4):
        save_photo(home / f"in/good{number}.png", number)
    busy = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    busy[::4] = 255
    busy[18:30, 20:34] = (220, 30, 30)
    Image.fromarray(busy).save(home / "in/busy.png")
    (home / "in/broken.png").write_bytes(b"no")
    data = {
        "images": [
            {"id": i, "file_name": path.name, "width": 64, "height": 48}
            for i, path in enumerate(sorted((home / "in").iterdir()))
        ],
        "categories": [{"id": 1, "name": HOSTILE}],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1, "iscrowd": 0, "area": 168,
             "bbox": [20, 16, 14, 14], "segmentation": [[20, 16, 34, 16, 34, 30, 20, 30]]}
            for i in range(5)
        ],
    }  # fmt: skip
    (home / "in/coco.json").write_text(json.dumps(data))
    result = batch(home / "in/coco.json", home / "out", "--inpainter", "telea", *NO_WORKERS)
    assert result.exit_code == 3, result.output
    return home / "out"


def embedded_data(out: Path, name: str = "report.html") -> dict[str, Any]:
    """Return the data in a report of an output folder."""
    page = (out / name).read_text()
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match
    data: dict[str, Any] = json.loads(match[1])
    return data


def test_the_report_holds_counts_and_pictures(out: Path) -> None:
    """Each edited photo has a picture, and nothing is loaded from elsewhere."""
    data = embedded_data(out)
    assert data["statuses"] == {"copied": 1, "done": 4, "failed": 1}
    assert sum(data["verdicts"].values()) == 5
    assert len(data["cards"]) == 5
    assert data["cards"][0]["verdict"] == "error"  # the worst first
    assert data["verdicts"]["error"] == 1
    pictures = [picture for card in data["cards"] for _, picture in card["pictures"]]
    assert len(pictures) == 4
    thumbnail = base64.b64decode(pictures[0].partition(",")[2])
    assert thumbnail.startswith(b"\xff\xd8\xff")
    page = (out / "report.html").read_text()
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page
    assert all(sum(bins) == 4 for bins in data["scores"].values())


def test_a_report_names_its_command_and_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_photo(tmp_path / "in/a.png")
    monkeypatch.setattr("sys.argv", ["s2i", "batch", "my photos", "out", "--seed", "3"])
    batch_red(tmp_path / "in", tmp_path / "out")
    data = embedded_data(tmp_path / "out")
    assert data["command"] == "segment2inpaint batch 'my photos' out --seed 3"
    age = datetime.now().astimezone() - datetime.fromisoformat(data["date"])
    assert abs(age.total_seconds()) < 60


def test_captions_are_sentences(out: Path) -> None:
    captions = {card["output"]: card["caption"] for card in embedded_data(out)["cards"]}
    found = "found by mask and painted over by telea in "
    assert captions["good0.png"].startswith(f"Removed {HOSTILE}, {found}")
    assert captions["good0.png"].endswith(" s. No problem found.")
    assert re.search(r" Failed: \w.*\.", captions["busy.png"])
    assert "could not be edited. Not a picture, expected" in captions["broken.png"]


def test_links_lead_to_the_full_size_pictures(tmp_path: Path) -> None:
    """Names are quoted; a photo in an archive or a remote store has no link."""
    name = "a b#1:2%.png"
    save_photo(tmp_path / "in" / name)
    batch_red(tmp_path / "in", tmp_path / "out")
    (card,) = embedded_data(tmp_path / "out")["cards"]
    assert card["links"].keys() == {"photo", "result", "mask"}
    for address in card["links"].values():
        assert address.startswith("./")
        assert (tmp_path / "out" / unquote(address)).is_file()
    record = {"photo": "s3://bucket/a.png", "output": "a.png", "written": {}, "rows": []}
    assert report_cards.links(record, str(tmp_path)) == {}
    assert report_cards.links({**record, "photo": "/x/s.tar#512+20"}, str(tmp_path)) == {}


def test_a_comparison_says_what_changed(tmp_path: Path) -> None:
    """Verdicts and scores are compared photo by photo, the worse ones first."""
    here, there = run_of_two(tmp_path, "telea"), run_of_two(tmp_path, "exemplar")
    result = CliRunner().invoke(main, ["compare", str(here), str(there)])
    assert result.exit_code == 0, result.output
    data = embedded_data(here, "compare.html")
    changes = {card["output"]: card["verdict"] for card in data["cards"]}
    assert changes == {"busy.png": "worse", "a.png": "other scores"}
    assert data["cards"][0]["output"] == "busy.png"
    assert sum(data["verdicts"].values()) == 2
    card = data["cards"][0]
    was = next(c["verdict"] for c in embedded_data(there)["cards"] if c["output"] == "busy.png")
    assert was != "failed"
    assert card["caption"].startswith(f"It is failed; there it was {was}. Scores changed: ")
    assert [label for label, _ in card["pictures"]] == ["result here:", "result there:"]
    assert (here / unquote(card["links"]["result there"])).read_bytes() == (
        there / "busy.png"
    ).read_bytes()
    assert (here / unquote(card["links"]["photo"])).is_file()
    same = CliRunner().invoke(main, ["compare", str(here), str(here)])
    assert "2 same" in same.stderr


def test_photos_of_one_run_only_are_named(tmp_path: Path) -> None:
    save_photo(tmp_path / "a/1.png")
    save_photo(tmp_path / "b/2.png")
    for name in ("a", "b"):
        batch_red(tmp_path / name, tmp_path / f"out_{name}")
    counts = comparison.write(str(tmp_path / "out_a"), str(tmp_path / "out_b"))[1]
    assert counts == {"only here": 1, "only there": 1}


def test_a_comparison_needs_two_finished_runs(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["compare", str(tmp_path), str(tmp_path)])
    assert result.exit_code == 1
    assert "expected the output folder of a finished batch" in result.stderr


def run_of_two(home: Path, inpainter: str) -> Path:
    """Return the results of a plain photo and a busy one."""
    save_photo(home / "in/a.png")
    busy = np.random.default_rng(0).integers(0, 255, (48, 64, 3)).astype(np.uint8)
    busy[::4] = 255
    busy[18:30, 20:34] = (220, 30, 30)
    Image.fromarray(busy).save(home / "in/busy.png")
    out = home / inpainter
    options = ("-b", "20,16,32,28", "--inpainter", inpainter, *NO_WORKERS)
    assert batch(home / "in", out, *options).exit_code == 0
    return out


@pytest.fixture
def page(out: Path) -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: apt-get install chromium")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1200, "height": 900})
        errors: list[str] = []
        tab.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
        tab.on("pageerror", lambda error: errors.append(str(error)))
        tab.on("dialog", lambda dialog: errors.append(dialog.message))
        tab.on("request", lambda r: errors.append(r.url) if r.url[:4] == "http" else None)
        tab.goto((out / "report.html").as_uri())
        yield tab
        browser.close()
        assert not errors


@pytest.mark.slow
def test_cards_are_filtered_and_searched(page: Any) -> None:
    cards = page.locator("article")
    assert cards.count() == 5
    assert "6 of 6 photos: 1 copied, 4 done, 1 failed" in page.locator("#summary").inner_text()
    assert page.locator("article[data-verdict=error]").count() == 1
    assert page.locator("button[data-verdict=error]").inner_text() == "not done 1"
    page.click("button[data-verdict=error]")
    assert page.get_attribute("button[data-verdict=error]", "aria-pressed") == "false"
    assert cards.count() == 4
    page.click("button[data-verdict=error]")
    page.fill("#search", "broken")
    assert cards.count() == 1
    assert "Not a picture" in cards.inner_text()
    page.fill("#search", "nothing of the kind")
    assert cards.count() == 0
    assert page.locator("#count").inner_text() == "0 shown"


@pytest.mark.slow
def test_pictures_and_histograms_are_shown(page: Any) -> None:
    """Charts count every photo, and HTML in a name is shown as text."""
    widths = page.eval_on_selector_all(
        "article img", "all => Promise.all(all.map(i => i.decode().then(() => i.naturalWidth)))"
    )
    assert len(widths) == 4
    assert min(widths) > 100
    labels = page.eval_on_selector_all("svg", "all => all.map(s => s.getAttribute('aria-label'))")
    assert any(label.startswith("seconds per photo") for label in labels)
    assert any(label.startswith("ghost") for label in labels)
    captions = page.eval_on_selector_all("figcaption", "all => all.map(c => c.textContent)")
    assert "ghost  (0 to 1)" in captions
    heights = page.eval_on_selector_all(
        "svg rect", "all => all.map(r => +r.getAttribute('height'))"
    )
    assert max(heights) == 70
    assert HOSTILE in page.locator("article").nth(1).inner_text()
    assert page.locator("article img[src=x]").count() == 0


@pytest.mark.slow
def test_the_cards_are_filtered_by_what_may_mend_them(page: Any) -> None:
    before = page.locator("article").count()
    button = page.locator("[data-action]").first
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    shown = page.locator("article")
    assert 0 < shown.count() < before
    assert all("Try: " in text for text in shown.all_inner_texts())
    button.click()
    assert shown.count() == before


@pytest.mark.slow
def test_the_table_and_the_cards_are_sorted(page: Any) -> None:
    page.click("#as-table")
    assert page.locator("article").count() == 0
    names = page.locator("tbody td:first-child")
    assert names.count() == 5
    page.click("th button:text-is('file')")
    assert names.all_inner_texts() == sorted(names.all_inner_texts())
    page.click("th button:text-is('file')")
    assert page.locator("th").first.get_attribute("aria-sort") == "descending"
    assert names.all_inner_texts() == sorted(names.all_inner_texts(), reverse=True)
    page.click("th button:text-is('probability')")
    cells = [text for text in page.locator("tbody td:nth-child(5)").all_inner_texts() if text]
    assert len(cells) == 4
    assert [float(cell) for cell in cells] == sorted(float(cell) for cell in cells)
    page.click("#as-table")
    page.select_option("#sort", label="probability, lowest first")
    assert page.locator("article strong").first.inner_text() == "busy.png"
    assert page.locator("article").last.get_attribute("data-verdict") == "error"


@pytest.mark.slow
def test_a_link_opens_the_full_size_result(page: Any) -> None:
    with page.context.expect_page() as opened:
        page.locator("article", has_text="good0.png").locator("a:text-is('result')").click()
    assert opened.value.url.endswith("/out/good0.png")


def test_a_large_run_shows_its_worst_photos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At most ``REPORT_PHOTOS`` have a card; the counts are of all photos."""
    from segment2inpaint.dataset import report

    monkeypatch.setattr(report, "REPORT_PHOTOS", 2)
    for number in range(12):
        save_photo(tmp_path / f"in/{number:02d}.png", number)
    (tmp_path / "in/11.png").write_bytes(b"no")
    batch_red(tmp_path / "in", tmp_path / "out")
    data = embedded_data(tmp_path / "out")
    assert [card["output"] for card in data["cards"]] == ["11.png", "00.png"]
    assert data["statuses"] == {"done": 11, "failed": 1}

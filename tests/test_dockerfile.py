"""The Dockerfile: its steps are linted here; ``make test-core`` runs those that install."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch

from doc_blocks import parse
from dockerfile import ROOT, TARGET, copied, stages, texts

from segment2inpaint.cli.web import web

BUILD, FINAL = stages()


def test_both_stages_start_from_the_same_slim_python_of_a_fixed_version() -> None:
    first, last = (texts(stage, "FROM")[0].split()[0] for stage in (BUILD, FINAL))
    assert first == last
    assert re.fullmatch(r"python:3\.\d+-slim", first)


def test_the_final_stage_has_the_installed_package_and_nothing_of_the_checkout() -> None:
    assert copied(FINAL) == []
    assert texts(FINAL, "COPY") == [f"--from=build {TARGET} {TARGET}"]
    assert not any("pip" in command for command in texts(FINAL, "RUN"))


def test_it_does_not_run_as_root() -> None:
    names = [instruction.name for instruction in FINAL]
    (user,) = texts(FINAL, "USER")
    assert user not in ("root", "0")
    assert f" {user} " in texts(FINAL, "RUN")[0]
    assert max(i for i, name in enumerate(names) if name == "RUN") < names.index("USER")


def test_pip_installs_the_checkout_with_the_tested_versions_and_leaves_no_cache() -> None:
    (command,) = (command for command in texts(BUILD, "RUN") if "pip" in command)
    assert command == (f'{TARGET}/bin/pip install --no-cache-dir -c constraints.txt ".${{EXTRAS}}"')


def test_every_copied_file_exists_and_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    sources = {name for names, _ in copied(BUILD) for name in names}
    assert sources == allowed
    assert "*" in lines
    assert all((ROOT / name).exists() for name in sources)
    assert any(fnmatch("a/__pycache__", line) for line in lines if line.startswith("**"))


def test_it_starts_the_page_on_the_exposed_port_with_a_token() -> None:
    words = [*json.loads(texts(FINAL, "ENTRYPOINT")[0]), *json.loads(texts(FINAL, "CMD")[0])]
    options = parse(words)
    assert words[:2] == ["segment2inpaint", web.name]
    assert (options["host"], options["token"]) == ("0.0.0.0", "auto")
    assert texts(FINAL, "EXPOSE") == [str(options["port"])]

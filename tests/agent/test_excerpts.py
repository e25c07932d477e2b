"""Excerpts of the source: around what symptoms name, and no trouble where that is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from agent.excerpts import excerpts
from probes.symptom import Symptom

Write = Callable[[str, str], Path]
TEXT = "".join(f"line {number}\n" for number in range(1, 61))


def at(*sources: str | None) -> list[Symptom]:
    about = {"code": "P101", "name": "x", "severity": 1.0, "where": "net", "message": "it is"}
    return [Symptom.model_validate(about | {"source": source}) for source in sources]


def test_places_close_to_each_other_share_one(project: Path, write: Write) -> None:
    script = write("train.py", TEXT)
    found = excerpts(at("train.py:20", "train.py:26", "train.py:50", None), project, script)
    assert [(e.first, len(e.lines), e.marked) for e in found] == [
        (16, 15, (20, 26)),
        (46, 9, (50,)),
    ]
    assert found[0].lines[4] == "line 20"


def test_ends_of_the_file_are_no_obstacle(project: Path, write: Write) -> None:
    script = write("train.py", TEXT)
    found = excerpts(at("train.py:1", "train.py:60", "train.py:61", "train.py:0"), project, script)
    assert [(e.first, e.lines[-1], e.marked) for e in found] == [
        (1, "line 5", (1,)),
        (56, "line 60", (60,)),
    ]


def test_the_folder_of_the_script_comes_first(project: Path, write: Write) -> None:
    script = write("scripts/train.py", TEXT)
    write("scripts/net.py", "near\n")
    write("net.py", "far\n")
    write("lib/layers.py", "other\n")
    found = excerpts(at("net.py:1", "lib/layers.py:1"), project, script)
    assert [e.lines for e in found] == [("near",), ("other",)]


def test_what_cannot_be_read_is_left_out(project: Path, write: Write) -> None:
    script = write("train.py", TEXT)
    (project / "odd.py").write_bytes(b"\xff\xfe\x00")
    sources = "gone.py:3", "odd.py:1", "train.py", "train.py:x", ":5", "/dev:1"
    assert excerpts(at(*sources), project, script) == ()

import os
from pathlib import Path

import pytest

from agent import snapshot
from agent.errors import UsageError
from agent.snapshot import Snapshot


def fill(folder: Path, **files: str) -> None:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_copy_is_independent_of_later_edits(tmp_path: Path) -> None:
    project = tmp_path / "project"
    fill(project, train="old", data__x="x")
    (project / "empty").mkdir()
    (project / "train").chmod(0o755)
    taken = Snapshot.take(project, project / "train")
    (project / "train").write_text("new")
    script = taken.unpack(tmp_path / "scratch")
    assert script.read_text() == "old"
    assert os.access(script, os.X_OK)
    assert names(script.parent) == {"train", "data", "data/x", "empty"}
    script.write_text("of the trial")
    assert (project / "train").read_text() == "new"


def test_what_nobody_trains_with_is_left_out(tmp_path: Path) -> None:
    fill(
        tmp_path / "project",
        train="",
        venv__bin__python="",
        venv__pyvenv="",
        mlruns__0__x="",
        node_modules__x="",
        src__env="",
    )
    (tmp_path / "project/venv/pyvenv.cfg").write_text("")
    (tmp_path / "project/.git").mkdir()
    (tmp_path / "project/src/__pycache__").mkdir()
    (tmp_path / "project/mlflow.db").write_text("")
    taken = Snapshot.take(tmp_path / "project", tmp_path / "project/train")
    script = taken.unpack(tmp_path / "scratch")
    assert names(script.parent) == {"train", "src", "src/env"}


def test_large_files_are_linked(tmp_path: Path) -> None:
    fill(tmp_path / "project", train="", big="x" * 100, small="x" * 99)
    taken = Snapshot.take(tmp_path / "project", tmp_path / "project/train", large=100)
    copy = taken.lay_out(tmp_path / "scratch")
    assert (copy.directory / "big").readlink() == tmp_path / "project/big"
    assert not (copy.directory / "small").is_symlink()
    assert copy.links == {str(copy.directory / "big")}
    assert len(taken.archive) < 20_000


def test_links_stay_inside_or_become_absolute(tmp_path: Path) -> None:
    project = tmp_path / "project"
    fill(project, train="", data__x="inside")
    fill(tmp_path, other__y="outside")
    (project / "near").symlink_to("data")
    (project / "near-absolute").symlink_to(project / "data" / "x")
    (project / "far").symlink_to("../other")
    (project / "broken").symlink_to("nowhere")
    copy = Snapshot.take(project, project / "train").lay_out(tmp_path / "scratch")
    here = copy.directory
    assert (here / "near").resolve() == here / "data"
    assert (here / "near-absolute").resolve() == here / "data" / "x"
    assert (here / "far" / "y").read_text() == "outside"
    assert (here / "broken").is_symlink()


@pytest.mark.parametrize(
    ("directory", "script"),
    [("a", "a/train"), ("a", "a/src/train"), ("a/src", "a/train"), ("a", "b/src/train")],
)
def test_script_may_lie_anywhere(tmp_path: Path, directory: str, script: str) -> None:
    for path in (f"{directory}/data", f"{Path(script).parent}/neighbour", script):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(path)
    taken = Snapshot.take(tmp_path / directory, tmp_path / script)
    copy = taken.lay_out(tmp_path / "scratch")
    assert copy.script.read_text() == script
    assert (copy.script.parent / "neighbour").exists()
    assert (copy.directory / "data").exists()
    relative = os.path.relpath(tmp_path / script, tmp_path / directory)
    assert os.path.relpath(copy.script, copy.directory) == relative


def test_too_much_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, train="", a="x" * 50, b="x" * 60)
    monkeypatch.setattr(snapshot, "MAX_BYTES", 100)
    with pytest.raises(UsageError, match="of small files, too much .* run from the folder"):
        Snapshot.take(tmp_path, tmp_path / "train")
    monkeypatch.setattr(snapshot, "MAX_BYTES", 1000)
    monkeypatch.setattr(snapshot, "MAX_FILES", 2)
    with pytest.raises(UsageError, match="more than 2 files") as caught:
        Snapshot.take(tmp_path, tmp_path / "train")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_a_file_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path / "project", train="")
    os.mkfifo(tmp_path / "project/pipe")
    script = Snapshot.take(tmp_path / "project", tmp_path / "project/train").unpack(tmp_path / "s")
    assert names(script.parent) == {"train"}

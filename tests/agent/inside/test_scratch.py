"""Every trial finds the user's files as they were taken."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.inside.scratch import Scratch
from agent.snapshot import Snapshot

LARGE = 100


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    project = tmp_path / "project"
    (project / "data" / "deep").mkdir(parents=True)
    (project / "train.py").write_text("import torch")
    (project / "train.py").chmod(0o755)
    (project / "log.csv").write_text("epoch,loss")
    (project / "data" / "deep" / "x.bin").write_bytes(b"x")
    (project / "data" / "large.bin").write_bytes(b"x" * LARGE)
    (project / "latest").symlink_to("data")
    return Snapshot.take(project, project / "train.py", LARGE)


def picture(folder: Path) -> dict[str, tuple[object, ...]]:
    """Kind, mode and content of all that is in a folder."""
    return {str(path.relative_to(folder)): _kind(path) for path in folder.rglob("*")}


def _kind(path: Path) -> tuple[object, ...]:
    if path.is_symlink():
        return ("link", os.readlink(path))
    mode = path.stat().st_mode
    return (mode,) if path.is_dir() else (mode, path.read_bytes())


def append(here: Path) -> None:
    with (here / "log.csv").open("a") as log:
        log.write("1,0.5")


def rewrite_behind_its_back(here: Path) -> None:
    file = here / "data" / "deep" / "x.bin"
    before = file.stat()
    file.write_bytes(b"y")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def delete(here: Path) -> None:
    (here / "log.csv").unlink()


def put_another_in_its_place(here: Path) -> None:
    (here / "new.csv").write_text("epoch,cost")
    (here / "new.csv").replace(here / "log.csv")


def lead_elsewhere(here: Path) -> None:
    (here / "log.csv").unlink()
    (here / "log.csv").symlink_to("train.py")


def break_link_to_large(here: Path) -> None:
    (here / "data" / "large.bin").unlink()
    (here / "data" / "large.bin").write_bytes(b"its own")


def change_mode(here: Path) -> None:
    (here / "train.py").chmod(0o600)
    (here / "data").chmod(0o700)


def add(here: Path) -> None:
    (here / "checkpoints" / "old").mkdir(parents=True)
    (here / "checkpoints" / "old" / "1.pt").write_bytes(b"1")
    (here / "data" / "cache").write_bytes(b"2")
    (here.parent / "beside").write_text("3")


def remove_folder(here: Path) -> None:
    shutil.rmtree(here / "data")


def make_folder_a_file(here: Path) -> None:
    shutil.rmtree(here / "data")
    (here / "data").write_text("now a file")


def make_file_a_folder(here: Path) -> None:
    (here / "log.csv").unlink()
    (here / "log.csv").mkdir()
    (here / "log.csv" / "part").write_text("0")


def rename_everything(here: Path) -> None:
    here.rename(here.with_name("elsewhere"))


@pytest.mark.parametrize(
    "change",
    [
        append,
        rewrite_behind_its_back,
        delete,
        put_another_in_its_place,
        lead_elsewhere,
        break_link_to_large,
        change_mode,
        add,
        remove_folder,
        make_folder_a_file,
        make_file_a_folder,
        rename_everything,
    ],
)
def test_whatever_a_trial_does_the_next_one_finds_a_fresh_copy(
    tmp_path: Path, snapshot: Snapshot, change: Callable[[Path], None]
) -> None:
    fresh = picture(snapshot.lay_out(tmp_path / "fresh").directory.parent)
    scratch = Scratch(tmp_path / "host")
    for _ in range(2):
        folder, copy = scratch.prepare(snapshot)
        assert [path.name for path in folder.iterdir()] == ["files"]
        assert picture(copy.directory.parent) == fresh
        (folder / "output.log").write_text("what it printed")
        change(copy.directory)
        scratch.clear()
    assert scratch.prepare(snapshot) == (folder, copy)
    assert picture(copy.directory.parent) == fresh


def test_what_no_trial_touched_is_not_written_again(tmp_path: Path, snapshot: Snapshot) -> None:
    scratch = Scratch(tmp_path / "host")
    _, copy = scratch.prepare(snapshot)
    before = (copy.directory / "train.py").stat().st_ctime_ns
    append(copy.directory)
    add(copy.directory)
    scratch.clear()
    scratch.prepare(snapshot)
    assert (copy.directory / "train.py").stat().st_ctime_ns == before


def test_other_files_take_their_place(tmp_path: Path, snapshot: Snapshot) -> None:
    scratch = Scratch(tmp_path / "host")
    folder, copy = scratch.prepare(snapshot)
    before = (copy.directory / "train.py").stat().st_ctime_ns
    project = tmp_path / "project"
    (project / "log.csv").write_text("patched")
    (project / "latest").unlink()
    shutil.rmtree(project / "data" / "deep")
    (project / "data" / "new.bin").write_bytes(b"n")
    (project / "data").chmod(0o700)
    changed = Snapshot.take(project, project / "train.py", LARGE)
    fresh = picture(changed.lay_out(tmp_path / "fresh").directory.parent)
    assert scratch.prepare(changed) == (folder, copy)
    assert picture(copy.directory.parent) == fresh
    scratch.clear()
    assert picture(copy.directory.parent) == fresh
    assert (copy.directory / "train.py").stat().st_ctime_ns == before


def test_the_same_files_taken_again_are_not_written_again(
    tmp_path: Path, snapshot: Snapshot
) -> None:
    scratch = Scratch(tmp_path / "host")
    _, copy = scratch.prepare(snapshot)
    before = (copy.directory / "log.csv").stat().st_ctime_ns
    project = tmp_path / "project"
    scratch.prepare(Snapshot.take(project, project / "train.py", LARGE))
    assert (copy.directory / "log.csv").stat().st_ctime_ns == before


def test_another_folder_takes_its_place(tmp_path: Path, snapshot: Snapshot) -> None:
    scratch = Scratch(tmp_path / "host")
    scratch.prepare(snapshot)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "go.py").write_text("")
    other = Snapshot.take(tmp_path / "other", tmp_path / "other" / "go.py")
    _, copy = scratch.prepare(other)
    assert copy.script.exists()
    assert set(picture(copy.directory.parent)) == {"other", "other/go.py"}


def test_a_copy_that_cannot_be_restored_is_given_up(
    tmp_path: Path, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = Scratch(tmp_path / "host")
    _, copy = scratch.prepare(snapshot)
    append(copy.directory)
    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", refuse)
        scratch.clear()
    _, copy = scratch.prepare(snapshot)
    assert (copy.directory / "log.csv").read_text() == "epoch,loss"


def refuse(path: str, **_options: object) -> None:
    raise PermissionError(path)

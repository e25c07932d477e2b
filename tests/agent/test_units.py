"""`agent list` and `agent explain`."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from agent.cli import main
from probes import probes
from remedies import remedies


def test_list_names_every_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["code"] for row in rows] == [unit.code for unit in (*probes, *remedies)]
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for row in rows:
        assert re.search(rf"{row['code']}  {row['name']} +{re.escape(row['doc'])}", text)


@pytest.mark.parametrize("name", ["P101", "p101", "train-eval-divergence"])
def test_explain_takes_codes_and_names(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["explain", name]) == 0
    text = capsys.readouterr().out
    assert text.startswith("P101 train-eval-divergence\n")
    assert "What it detects:" in text and "R101 swap-norm" in text


def test_explain_suggests_what_was_meant(complaint: Callable[[], str]) -> None:
    assert main(["explain", "train-eval-divergense"]) == 2
    assert "Did you mean train-eval-divergence?" in complaint()


def test_a_broken_unit_is_one_line(
    complaint: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from probes.registry import Registry, RegistryError

    def broken(registry: Registry[Any]) -> None:
        raise RegistryError("two claim P101")

    monkeypatch.setattr(Registry, "_load", broken)
    assert main(["list"]) == 4
    assert complaint() == "agent: two claim P101"

"""A person chooses: what is typed is applied, taken back, confirmed."""

from __future__ import annotations

import io

import pytest

from agent.episode import Episode
from agent.policies import policies
from agent.report import ReportConsole
from tests.agent.made_up import MadeUp, episode_of, factor


def number_of(episode: Episode, name: str) -> int:
    return 1 + [option.remedy.name for option in episode.options()].index(name)


def play(episode: Episode, monkeypatch: pytest.MonkeyPatch, *answers: object) -> str:
    said = io.StringIO()
    monkeypatch.setattr("agent.policies.interactive.sys.stderr", said)
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{answer}\n" for answer in answers)))
    policies["interactive"].play(episode)
    assert ReportConsole(said) is not None
    return said.getvalue()


@pytest.fixture
def episode(tmp_path) -> Episode:
    rule = MadeUp(lambda treatment: 0.97 if factor(treatment) < 0.5 else 0.2)
    return episode_of(rule, tmp_path)


def test_what_is_chosen_is_tried_and_confirmed(episode, monkeypatch) -> None:
    said = play(episode, monkeypatch, number_of(episode, "scale-learning-rate"), "c")
    assert "recovers" in said
    assert [a.name for a in episode.findings.fix.treatment] == ["scale-learning-rate"]


def test_what_is_taken_back_is_applied_no_more(episode, monkeypatch) -> None:
    said = play(episode, monkeypatch, number_of(episode, "scale-learning-rate"), "-1", "c", "s")
    assert "nothing is applied" in said
    assert episode.findings.fix is None and len(episode.heard) == 1


@pytest.mark.parametrize("answer", ["0", "999", "-1", "rm -rf", "[bold]"])
def test_what_makes_no_sense_is_asked_again(episode, monkeypatch, answer) -> None:
    said = play(episode, monkeypatch, answer, "s")
    assert "is none of these" in said and not episode.heard


def test_an_input_that_ends_is_an_end(episode, monkeypatch) -> None:
    play(episode, monkeypatch)
    assert not episode.heard

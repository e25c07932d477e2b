"""The environment keeps Gymnasium's rules, and rewards a cure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import agent.env  # noqa: F401  # Registers the versions.
from agent.env.catalogue import VERSIONS
from agent.errors import UsageError
from remedies.treatment import Treatment
from tests.agent.made_up import MadeUp, SickBelow, factor

REMEDIES = VERSIONS[max(VERSIONS)].remedies
LOWER = 1 + REMEDIES.index("R301")
LOWER_BACK = LOWER + len(REMEDIES)
STOP = 0

Make = Callable[..., gymnasium.Env[Any, Any]]


def by_a_lower_rate(treatment: Treatment) -> float:
    return {0.1: 0.5, 0.01: 0.97}.get(round(factor(treatment), 6), 0.2)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes environments in a made-up world."""
    launchers: list[MadeUp] = []

    def launcher(*args: object) -> MadeUp:
        launchers.append(MadeUp(by_a_lower_rate))
        return launchers[-1]

    monkeypatch.setattr("agent.env.worlds.Launcher", launcher)
    monkeypatch.setattr("agent.env.worlds.probes", [SickBelow("P303")])
    script = tmp_path / "project" / "train.py"
    script.parent.mkdir()
    script.write_text("")
    monkeypatch.chdir(script.parent)
    made: list[gymnasium.Env[Any, Any]] = []

    def make(**options: object) -> gymnasium.Env[Any, Any]:
        made.append(gymnasium.make("agent/Diagnose-v5", script=str(script), **options))
        made[-1].launchers = launchers  # type: ignore[attr-defined]
        return made[-1]

    yield make
    for env in made:
        env.close()


def test_it_keeps_the_rules_of_gymnasium(make: Make) -> None:
    check_env(make(budget=60).unwrapped, skip_render_check=True)


def test_two_steps_further_are_the_cure(make: Make) -> None:
    env = make()
    observation, info = env.reset(seed=0)
    assert info["action_mask"][LOWER] and not info["action_mask"][LOWER_BACK]
    assert [symptom["code"] for symptom in info["symptoms"]] == ["P303"]
    place = VERSIONS[max(VERSIONS)].probes.index("P303")
    assert observation["severities"][place] == 1 and observation["recovered"] == 0
    observation, reward, terminated, truncated, info = env.step(LOWER)
    assert not terminated and 0 < reward < observation["recovered"][0]
    assert info["action_mask"][LOWER_BACK]
    observation, reward, terminated, truncated, info = env.step(LOWER)
    assert terminated and not truncated
    assert reward > 1 and info["fix"][0]["params"]["factor"] == pytest.approx(0.01)
    assert observation["severities"].sum() == 0


def test_what_is_taken_back_is_gone(make: Make) -> None:
    env = make()
    before, _ = env.reset(seed=0)
    env.step(LOWER)
    after, reward, *_, info = env.step(LOWER_BACK)
    assert info["treatment"] == [] and reward < 0
    assert after["recovered"] == 0 and after["budget"] < before["budget"]


def test_to_stop_untreated_is_worth_nothing(make: Make) -> None:
    env = make()
    env.reset(seed=0)
    _, reward, terminated, _, info = env.step(STOP)
    assert terminated and reward == 0 and info["fix"] is None


def test_what_cannot_be_done_costs_a_run_and_does_nothing(make: Make) -> None:
    env = make(price=0.02)
    env.reset(seed=0)
    observation, reward, terminated, _, info = env.step(LOWER_BACK)
    assert reward == pytest.approx(-0.02) and not terminated
    assert info["treatment"] == [] and observation["recovered"] == 0


def test_it_ends_when_the_budget_is_spent(make: Make) -> None:
    env = make(budget=10)
    _, info = env.reset(seed=0)
    ends = []
    fresh = [action for action in np.flatnonzero(info["action_mask"]) if action != LOWER]
    for action in fresh[1:]:
        *_, terminated, truncated, info = env.step(action)
        ends.append((terminated, truncated))
        if truncated:
            break
    assert ends[-1] == (False, True) and len(ends) < len(fresh)


def test_the_same_seed_gives_the_same_episode(make: Make) -> None:
    def episode(env: gymnasium.Env[Any, Any]) -> list[Any]:
        found: list[Any] = [env.reset(seed=3)[0]]
        env.action_space.seed(3)
        for _ in range(6):
            action = env.action_space.sample()
            observation, reward, terminated, truncated, info = env.step(action)
            found.append((action, observation, reward, terminated, truncated, info["treatment"]))
            if terminated or truncated:
                break
        return found

    env = make()
    first = episode(env)
    assert repr(first) == repr(episode(env)) == repr(episode(make()))


def test_what_ran_is_not_run_again(make: Make) -> None:
    env = make()
    rewards = []
    for _ in range(2):
        env.reset(seed=0)
        rewards.append([env.step(action)[1] for action in (LOWER, LOWER)])
    (launcher,) = env.launchers  # type: ignore[attr-defined]
    assert len({spec.key for spec in launcher.ran}) == len(launcher.ran)
    assert rewards[0] == rewards[1]


def test_the_mask_tells_what_does_something(make: Make) -> None:
    env = make()
    _, info = env.reset(seed=0)
    assert info["action_mask"].dtype == np.int8 and info["action_mask"][STOP]
    assert info["action_mask"].shape == (env.action_space.n,)  # type: ignore[attr-defined]
    assert set(info["targets"]) == {int(a) for a in np.flatnonzero(info["action_mask"])} - {STOP}
    env.action_space.seed(0)
    assert all(info["action_mask"][env.action_space.sample(info["action_mask"])] for _ in range(9))


def test_it_can_be_looked_at(make: Make) -> None:
    env = make(render_mode="ansi")
    env.reset(seed=0)
    env.step(LOWER)
    assert "scale-learning-rate" in env.render()  # type: ignore[operator]
    env = make(render_mode="rgb_array")
    env.reset(seed=0)
    untreated = env.render()
    env.step(LOWER)
    treated = env.render()
    assert isinstance(untreated, np.ndarray) and isinstance(treated, np.ndarray)
    assert untreated.shape == (400, 640, 3) and untreated.dtype == np.uint8
    assert (untreated != treated).any()


def test_several_play_side_by_side(make: Make) -> None:
    make()  # For its world.
    envs = gymnasium.make_vec(
        "agent/Diagnose-v5", num_envs=2, vectorization_mode="sync", script="train.py"
    )
    _, infos = envs.reset(seed=0)
    assert infos["action_mask"].shape == (2, 1 + 2 * len(REMEDIES))
    observations, rewards, *_ = envs.step(np.array([LOWER, STOP]))
    assert observations["recovered"][0] > 0 == observations["recovered"][1]
    assert rewards[0] > rewards[1] == 0
    envs.close()


def test_what_was_recorded_is_replayed_without_the_script(make: Make, tmp_path: Path) -> None:
    file = tmp_path / "lower.zip"

    def play(env: gymnasium.Env[Any, Any]) -> list[Any]:
        start = env.reset(seed=0)[0]
        return [start, *(env.step(action)[:4] for action in (LOWER, LOWER))]

    recorded = make(record=str(file))
    expected = play(recorded)
    again = make(record=str(file))  # A recording goes on, and has nothing twice.
    play(again)
    replay = gymnasium.make("agent/Diagnose-v5", replay=str(file))
    assert repr(play(replay)) == repr(expected)
    _, info = replay.reset()
    assert info["action_mask"][[STOP, LOWER]].all() and info["action_mask"].sum() == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"script": None}, "script= or replay="),
        ({"script": None, "replay": "no.zip"}, "no such replay file"),
        ({"script": None, "replay": "notes.txt"}, "no replay file"),
        ({"metric": " :max"}, "--metric"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(make: Make, options, said) -> None:
    Path("notes.txt").write_text("no archive")
    with pytest.raises(UsageError, match=said) as caught:
        gymnasium.make("agent/Diagnose-v5", **{"script": "train.py", **options})
    assert "\n" not in str(caught.value)

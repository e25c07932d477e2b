"""The environment: one debugging session per episode."""

from __future__ import annotations

import contextlib
import io
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from agent.candidate import write_treatment
from agent.env.catalogue import VERSIONS
from agent.env.curves import picture
from agent.env.moves import STOP, Moves
from agent.env.play import Play
from agent.env.worlds import Worlds
from agent.errors import UsageError
from agent.options import build_request
from agent.view import watching
from remedies.treatment import Treatment

Observation = dict[str, NDArray[Any]]
Info = dict[str, Any]

_PRICE = 0.02
"""Reward that one run of the script costs: 0.12 for a confirmation on three seeds."""


class DiagnoseEnv(gymnasium.Env[Observation, np.int64]):
    """Debugging a training run: apply remedies, see what comes of it, stop when it is cured.

    *Actions*, with R remedies in the version: 0 stops; 1 to R apply a remedy on top of what is
    applied already, at its likeliest target, or, where it is applied, with its next parameters;
    R + 1 to 2R take it back. Each runs one trial on the seed of the episode; one that cannot be
    taken (``info["action_mask"]`` has 0) runs none, and costs as much. An end, be it a stop or a
    run without symptoms, puts what is applied to the confirmation on seeds of its own.

    *Observations*: ``severities`` by probe, ``recovered`` (the share of the way from the untreated
    metric to the best possible one; -1 where the run broke), ``applied`` by remedy, and the share
    of the ``budget`` that is left. ``info`` has the symptoms in full, the targets and the mask.

    *Reward*: what the action changed in ``recovered``, minus ``price`` for each run of the script
    that it took, plus 1 at a confirmed end.

    Args:
        script: Path of the script; may be left out with ``replay``.
        args: Its arguments.
        metric: ``NAME`` or ``NAME:min`` or ``NAME:max``; None to infer it.
        version: Of the actions and observations.
        price: Reward that one run of the untreated script costs.
        record: Replay file to add all trials to.
        replay: Replay file to take all trials from; nothing is run.
        render_mode: ``ansi`` for what a terminal shows, ``rgb_array`` for the curves of the metric.
        options: Those of ``agent diagnose``: ``budget``, ``seeds``, ``address``, ``max_steps``...

    Raises:
        UsageError: An option is wrong.
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi", "rgb_array"], "render_fps": 1}

    def __init__(
        self,
        script: str | None = None,
        args: Sequence[str] = (),
        metric: str | None = None,
        *,
        version: int = 0,
        price: float = _PRICE,
        record: str | None = None,
        replay: str | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        catalogue = VERSIONS[version]
        self._probes = catalogue.probes
        self._moves = Moves(catalogue.remedies)
        self._price = price
        self.render_mode = render_mode
        self._stack = contextlib.ExitStack()
        folder = tempfile.TemporaryDirectory(prefix="agent-env-")
        scratch = Path(self._stack.enter_context(folder))
        # Trials are whole runs, however long an episode takes; max_steps= makes them shorter.
        asked = {"metric": metric, "time_budget": math.inf, **options}
        request = build_request(script or _stand_in(replay, scratch), tuple(args), asked)
        self._worlds = Worlds(
            request, scratch, Path(record) if record else None, Path(replay) if replay else None
        )
        self._stack.callback(self._worlds.close)
        self._play: Play | None = None
        self._written = io.StringIO()
        self._known: dict[tuple[int, str], dict[int, Treatment]] = {}
        self.action_space = spaces.Discrete(self._moves.count)
        self.observation_space = spaces.Dict(  # type: ignore[assignment]  # Spaces are invariant.
            {
                "severities": spaces.Box(0, 1, (len(self._probes),), np.float32),
                "recovered": spaces.Box(-1, 1, (1,), np.float32),
                "applied": spaces.MultiBinary(len(catalogue.remedies)),
                "budget": spaces.Box(0, 1, (1,), np.float32),
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, Info]:
        """Run the script untreated and observe.

        Args:
            seed: First trial seed of the episode; without one, that of the episode before, or with
                a replay one of those that it has.
            options: Not used.

        Raises:
            WorkloadError: The script fails by itself, trains nothing or reports nothing.
        """
        super().reset(seed=seed)
        self._written = io.StringIO()
        with watching(self._written, self._worlds.name, self._worlds.budget) as listener:
            self._play = self._worlds.begin(seed, self.np_random, listener)
        return self._observation(self._play), self._info(self._play)

    def step(self, action: np.int64) -> tuple[Observation, float, bool, bool, Info]:
        """Apply a remedy, take one back, or stop."""
        play = self._playing()
        before, spent = play.recovered, play.spent
        ended, wasted = int(action) == STOP, 0.0
        if not ended:
            treatment = self._possible(play).get(int(action))
            if treatment is None:
                wasted = 1.0
            else:
                play.go_to(treatment)
                ended = play.healthy
        confirmed = ended and play.confirm()
        cost = self._price * (play.spent - spent + wasted)
        reward = play.recovered - before - cost + float(confirmed)
        truncated = not ended and not play.affordable
        return self._observation(play), reward, ended, truncated, self._info(play)

    def render(self) -> Any:
        """What a terminal shows, or the curves of the metric, shaped (400, 640, 3)."""
        if self.render_mode == "ansi":
            return self._written.getvalue()
        return picture(self._playing()) if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """End what runs, and Ray with the last environment that uses it."""
        self._stack.close()

    def _playing(self) -> Play:
        if self._play is None:
            raise gymnasium.error.ResetNeeded("call reset before step and render")
        return self._play

    def _observation(self, play: Play) -> Observation:
        severities = {symptom.code: symptom.severity for symptom in reversed(play.symptoms)}
        return {
            "severities": np.array([severities.get(c, 0) for c in self._probes], np.float32),
            "recovered": np.array([play.recovered], np.float32),
            "applied": self._moves.applied(play),
            "budget": np.array([play.budget_left], np.float32),
        }

    def _info(self, play: Play) -> Info:
        possible, applied = self._possible(play), len(play.applied)
        targets = {n: then[-1].target for n, then in possible.items() if len(then) > applied}
        return {"action_mask": self._moves.mask(possible), "targets": targets} | play.told()

    def _possible(self, play: Play) -> dict[int, Treatment]:
        """What can be done in a state; learners come to the same ones again and again."""
        state = play.seed, write_treatment(play.applied)
        if state not in self._known:
            self._known[state] = self._moves.possible(play)
        return self._known[state]


def _stand_in(replay: str | None, scratch: Path) -> str:
    """A script for a replay, which runs none."""
    if replay is None:
        raise UsageError("script= or replay= is needed")
    script = scratch / f"{Path(replay).stem}.py"
    script.write_text("")
    return str(script)

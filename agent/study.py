"""The search: one Optuna study per round, by ask and tell. The only file that imports Optuna.

A trial of the study is a choice among candidates (a remedy at a target) and that candidate's own
parameters. What was enqueued is asked for first, in its order: each hypothesis is heard with its
default before any is tuned. Then candidates are drawn by their weight until there is enough to
learn from, and from then on a tree-structured Parzen estimator proposes.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import optuna
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from agent.candidate import (
    Candidate,
    describe_space,
    key_of,
    read_treatment,
    write_treatment,
)
from agent.database import alone_with, without_password
from agent.errors import AgentError, InfrastructureError, first_line
from agent.pruning import Curve, Judge
from probes.objective import Objective
from probes.series import Series
from remedies.space import Choice, Range, Value, is_active
from remedies.treatment import CONTROL, Action, Treatment

__all__ = ["Asked", "Candidate", "Heard", "Study"]

optuna.logging.set_verbosity(optuna.logging.CRITICAL)

State = Literal["completed", "pruned", "failed", "running"]
Sampler = Literal["weighted", "tpe", "random"]
"""Who proposes what was not enqueued.

``weighted`` draws by the weights of the candidates until there is enough to learn from, and leaves
it to a tree-structured Parzen estimator then; ``tpe`` is that estimator alone, and ``random``
draws evenly: both are blind to the weights.
"""

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "completed",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
}
_POINTS = 64  # that a curve is thinned to
_STORED = 8  # points that are stored: each is flushed to disk, which takes 6 ms
_STARTUP = 10  # random trials of a blind estimator before it learns: Optuna's own default
_ATTEMPTS = 4  # at getting something new from the sampler, before an untried treatment is picked


@dataclass(frozen=True)
class Asked:
    """What to run next; the number is the study's, for `Study.report` and `Study.tell`."""

    number: int
    treatment: Treatment


@dataclass(frozen=True)
class Heard:
    """One trial of the study so far.

    Attributes:
        number: The study's number of the trial.
        treatment: What was tried.
        state: What became of it.
        value: The metric as told, None unless it ran to its end; a stand-in for a diverged run.
        diverged: Whether it was told a value that is none.
    """

    number: int
    treatment: Treatment
    state: State
    value: float | None
    diverged: bool = False


class Study:
    """One search round. Trials may run at the same time; calls come from one thread.

    Args:
        name: Name of the round; the same name, candidates and storage resume it.
        candidates: What may be chosen from, likeliest first.
        objective: The metric.
        storage: Journal file, or a database URL such as ``postgresql://...``.
        seed: Seed of the sampler.
        base: Treatment that every trial contains besides the candidate.
        control: Curve of the metric in the untreated run of the seed that is searched on;
            without it nothing is pruned.
        sampler: Who proposes what was not enqueued.
    """

    def __init__(
        self,
        name: str,
        candidates: Sequence[Candidate],
        objective: Objective,
        storage: Path | str,
        seed: int = 0,
        base: Treatment = CONTROL,
        control: Series | None = None,
        sampler: Sampler = "weighted",
    ) -> None:
        self.objective = objective
        self._candidates = {candidate.key: candidate for candidate in candidates}
        if not candidates or len(self._candidates) < len(candidates):
            raise ValueError("a study needs candidates, each with its own remedy or target")
        self._base = base
        self._judge = Judge(objective, control or Series())
        self._running: dict[int, tuple[optuna.Trial, Curve]] = {}
        self._startup = len(candidates) + 2 if sampler == "weighted" else 0
        name = f"{name}-{_fingerprint(candidates, objective, base)}"
        self._study = _open(name, storage, objective)
        self._fail_orphans()
        done = len(self._study.trials)
        self._random = random.Random(f"{seed}/{done}")
        self._study.sampler = _sampler(sampler, seed + done, self._startup)

    def enqueue(self, action: Action) -> bool:
        """Have this action heard before anything that the sampler proposes.

        Returns:
            False when it was heard, or stands in the queue, already.

        Raises:
            ValueError: It is no candidate's, or has parameters that the candidate cannot have.
        """
        candidate = self._candidates.get(key_of(action))
        if candidate is None or not candidate.allows(action):
            raise ValueError(f"{action} is not in the search space of the study")
        if self._written(action) in self._known() | self._queued():
            return False
        self._enqueue(candidate, action)
        return True

    def ask(self) -> Asked | None:
        """The next treatment to try, never one that was tried before.

        Returns:
            None when every candidate is exhausted.
        """
        for attempt in range(_ATTEMPTS + 1):
            pick = attempt == _ATTEMPTS or self._starting
            if pick and not self._trials(TrialState.WAITING) and not self._pick_untried():
                return None
            trial = self._study.ask()
            action = self._suggest(trial)
            if self._written(action) not in self._known():
                return self._hand_out(trial, action)
            self._study.tell(trial, state=TrialState.FAIL)  # without a treatment: not history
        return None

    def report(self, number: int, step: int, value: float) -> None:
        """Take in one value of the metric of a running trial."""
        self._running[number][1].take(step, value)

    def should_prune(self, number: int) -> bool:
        """Whether the trial cannot become a cure any more; never for a candidate's first one."""
        _, curve = self._running[number]
        if curve.full_hearing or not curve.grown:
            return False
        curve.grown = False
        return self._judge.hopeless(curve.points)

    def tell(self, number: int, value: float) -> None:
        """The trial ended with this value; a diverged one counts as just worse than all others."""
        trial = self._end(number)
        if not math.isfinite(value) or abs(value) >= abs(self.objective.worst):
            trial.set_user_attr("diverged", True)
            value = self._just_worse()
        self._study.tell(trial, value)

    def tell_failed(self, number: int) -> None:
        """The trial gave nothing to learn from: the script broke, or we did."""
        self._study.tell(self._running.pop(number)[0], state=TrialState.FAIL)

    def tell_pruned(self, number: int) -> None:
        """The trial was stopped because `should_prune` said so."""
        self._study.tell(self._end(number), state=TrialState.PRUNED)

    def history(self) -> list[Heard]:
        """All trials in their order, resumed ones included; orphans have failed."""
        return [
            Heard(
                number=trial.number,
                treatment=read_treatment(trial.user_attrs["treatment"]),
                state=_STATES[trial.state],
                value=trial.value if trial.state == TrialState.COMPLETE else None,
                diverged=trial.user_attrs.get("diverged", False),
            )
            for trial in self._trials()
            if "treatment" in trial.user_attrs
        ]

    @property
    def _starting(self) -> bool:
        """Whether too little is known for the sampler to be wiser than the weights."""
        return len(self._trials(TrialState.COMPLETE, TrialState.PRUNED)) < self._startup

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states or None)

    def _enqueue(self, candidate: Candidate, action: Action) -> None:
        params = {
            _named(candidate, name): action.params[name]
            for name in candidate.space
            if name in action.params
        }
        self._study.enqueue_trial(
            {"candidate": candidate.key, **params}, user_attrs={"queued": self._written(action)}
        )

    def _suggest(self, trial: optuna.Trial) -> Action:
        key = trial.suggest_categorical("candidate", list(self._candidates))
        candidate = self._candidates[key]
        params: dict[str, Value] = {}
        for name, dimension in candidate.space.items():
            if is_active(dimension, params):
                params[name] = _suggest_value(trial, _named(candidate, name), dimension)
        return candidate.with_params(params)

    def _end(self, number: int) -> optuna.Trial:
        """A trial that has ended, with what is stored of its curve: the last point is."""
        trial, curve = self._running.pop(number)
        points = list(curve.points.items())[::-1]
        for step, value in points[:: math.ceil(len(points) / _STORED) or 1][::-1]:
            trial.report(value, step)
        return trial

    def _hand_out(self, trial: optuna.Trial, action: Action) -> Asked:
        heard = {key_of(h.treatment[-1]) for h in self.history() if h.state != "failed"}
        trial.set_user_attr("treatment", self._written(action))
        curve = Curve(self._judge.last_step / _POINTS, full_hearing=key_of(action) not in heard)
        self._running[trial.number] = trial, curve
        return Asked(trial.number, (*self._base, action))

    def _pick_untried(self) -> bool:
        """Enqueue something untried, by the candidates' weights; False when there is nothing."""
        known = self._known()
        open_ones: list[tuple[Candidate, Action | None]] = []
        for candidate in self._candidates.values():
            actions = candidate.all_actions
            if actions is None:
                open_ones.append((candidate, None))
            elif untried := [a for a in actions if self._written(a) not in known]:
                open_ones.append((candidate, self._random.choice(untried)))
        if not open_ones:
            return False
        weights = [candidate.weight for candidate, _ in open_ones]
        candidate, action = self._random.choices(open_ones, weights)[0]
        if action is None:  # the sampler fills in the parameters
            pinned = {_named(candidate, name): value for name, value in candidate.endless.items()}
            self._study.enqueue_trial({"candidate": candidate.key, **pinned})
        else:
            self._enqueue(candidate, action)
        return True

    def _written(self, action: Action) -> str:
        """The treatment of this action as canonical JSON: its identity."""
        return write_treatment((*self._base, action))

    def _known(self) -> set[str]:
        """What was tried. What was cut off when the process died has yet to be heard."""
        orphans = set(self._study.user_attrs.get("orphans", ()))
        return {
            trial.user_attrs["treatment"]
            for trial in self._trials()
            if "treatment" in trial.user_attrs and trial.number not in orphans
        }

    def _queued(self) -> set[str]:
        waiting = self._trials(TrialState.WAITING)
        return {trial.user_attrs["queued"] for trial in waiting if "queued" in trial.user_attrs}

    def _fail_orphans(self) -> None:
        running = [trial.number for trial in self._trials(TrialState.RUNNING)]
        if not running:
            return
        orphans = self._study.user_attrs.get("orphans", [])
        self._study.set_user_attr("orphans", [*orphans, *running])
        for number in running:
            self._study.tell(number, state=TrialState.FAIL)

    def _just_worse(self) -> float:
        real = [h.value for h in self.history() if h.value is not None and not h.diverged]
        real += self._judge.control.finite.values
        if not real:
            return self.objective.worst
        margin = max(max(real) - min(real), 0.1 * max(map(abs, real)), 1e-6)
        return min(real) - margin if self.objective.mode == "max" else max(real) + margin


def _open(name: str, storage: Path | str, objective: Objective) -> optuna.Study:
    try:
        return optuna.create_study(
            study_name=name,
            storage=_storage(storage),
            direction="maximize" if objective.mode == "max" else "minimize",
            pruner=optuna.pruners.NopPruner(),
            load_if_exists=True,
        )
    except Exception as error:
        raise _unusable(storage, error) from error


def check_storage(url: str) -> None:
    """Make sure that a database can be used, before anything is run for it.

    Raises:
        InfrastructureError: It cannot; the message has no password.
    """
    try:
        _storage(url)
    except AgentError:
        raise
    except Exception as error:
        raise _unusable(url, error) from error


def _unusable(storage: Path | str, error: Exception) -> InfrastructureError:
    told = f"{storage}: {first_line(error)}"
    return InfrastructureError(f"cannot store the search in {without_password(told)}")


def _storage(storage: Path | str) -> optuna.storages.BaseStorage:
    if isinstance(storage, str) and "://" in storage:
        with alone_with(storage):
            return optuna.storages.RDBStorage(storage)
    path = Path(storage)
    path.parent.mkdir(parents=True, exist_ok=True)
    _drop_torn_line(path)
    return optuna.storages.JournalStorage(JournalFileBackend(str(path)))


def _drop_torn_line(path: Path) -> None:
    """Cut off what a process that was killed left half written: it would spoil the next line."""
    if not path.exists():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as journal:
            journal.truncate(content.rfind(b"\n") + 1)


def _sampler(sampler: Sampler, seed: int, startup: int) -> optuna.samplers.BaseSampler:
    if sampler == "random":
        return optuna.samplers.RandomSampler(seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(
            seed=seed,
            n_startup_trials=startup or _STARTUP,
            multivariate=True,
            group=True,  # each candidate's parameters are a space of their own
            constant_liar=True,
        )


def _suggest_value(trial: optuna.Trial, name: str, dimension: Choice | Range) -> Value:
    if isinstance(dimension, Range):
        return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    value = trial.suggest_categorical(name, dimension.options)
    assert value is not None  # no option is
    return value


def _named(candidate: Candidate, name: str) -> str:
    return f"{candidate.key}: {name}"


def _fingerprint(candidates: Sequence[Candidate], objective: Objective, base: Treatment) -> str:
    """Names the search space: Optuna refuses to resume a study with another one."""
    content = [describe_space(candidates), objective.model_dump(), write_treatment(base)]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:8]

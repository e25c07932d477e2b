"""The search, with the real Optuna on a journal file."""

import math
import warnings

import pytest

from agent.errors import InfrastructureError
from agent.study import Candidate, Study, check_storage
from probes.objective import Objective
from probes.series import Series
from remedies.space import Choice, Range
from remedies.treatment import Action

LOSS = Objective(name="val_loss", mode="min")
ACCURACY = Objective(name="val_acc", mode="max")


def action(remedy, name, target="", **params):
    return Action(remedy=remedy, name=name, target=target, params=params)


NORM = Candidate(
    action("R101", "swap-norm", "net.1", to="layer"), {"to": Choice(("layer", "group", "none"))}, 3
)
RATE = Candidate(
    action("R107", "scale-rate", factor=0.1), {"factor": Range(1e-4, 1.0, 0.1, log=True)}
)
DROP = Candidate(action("R103", "drop-term", "kl"), {}, 0.5)
CONTROL_CURVE = Series(list(range(10, 101, 10)), [2.0 - 0.01 * k for k in range(10)])


@pytest.fixture
def journal(tmp_path):
    return tmp_path / "deep" / "study.log"


def make(journal, candidates=(NORM, RATE, DROP), objective=LOSS, **options):
    return Study("round-1", list(candidates), objective, journal, **options)


def exhaust(study, value=1.0):
    treatments = []
    while (asked := study.ask()) is not None:
        treatments.append(asked.treatment)
        study.tell(asked.number, value)
    return treatments


def test_the_queue_is_asked_for_first_in_its_order(journal):
    study = make(journal)
    order = [DROP.action, NORM.action, RATE.action, *NORM.variants]
    assert all(study.enqueue(queued) for queued in order)
    asked = [study.ask() for _ in order]
    assert [one.treatment for one in asked] == [(queued,) for queued in order]


def test_what_was_heard_or_queued_is_not_queued_again(journal):
    study = make(journal)
    assert study.enqueue(NORM.action)
    assert not study.enqueue(NORM.action)
    study.tell(study.ask().number, 1.0)
    assert not study.enqueue(NORM.action)


@pytest.mark.parametrize(
    "stranger",
    [
        action("R999", "unknown"),
        action("R101", "swap-norm", "net.2", to="layer"),
        action("R101", "swap-norm", "net.1", to="batch"),
        action("R101", "swap-norm", "net.1"),
        action("R107", "scale-rate", factor=2.0),
        action("R107", "scale-rate", factor=0.5, more=1),
    ],
)
def test_actions_outside_the_space_are_refused(journal, stranger):
    with pytest.raises(ValueError, match="not in the search space"):
        make(journal).enqueue(stranger)


def test_every_treatment_is_asked_for_once_until_nothing_is_left(journal):
    treatments = exhaust(make(journal, [NORM, DROP]))
    assert len(treatments) == 4
    assert len(set(map(str, treatments))) == 4


def test_running_trials_are_not_proposed_again(journal):
    study = make(journal, [NORM])
    asked = [study.ask() for _ in range(4)]
    assert asked[3] is None
    assert len({str(one.treatment) for one in asked[:3]}) == 3


def test_every_trial_contains_the_base(journal):
    study = make(journal, [NORM], base=(RATE.action,))
    assert study.ask().treatment[0] == RATE.action


def test_fixed_parameters_stay(journal):
    fixed = Candidate(
        action("R1", "both", layer="last", factor=0.5), {"factor": Range(0.0, 1.0, 0.5)}
    )
    study = make(journal, [fixed])
    assert study.enqueue(fixed.action)
    assert all(study.ask().treatment[0].params["layer"] == "last" for _ in range(4))


def test_learns_where_the_optimum_is(journal):
    study = make(journal, seed=1)
    for candidate in (NORM, RATE, DROP):
        study.enqueue(candidate.action)
    for _ in range(25):
        asked = study.ask()
        (tried,) = asked.treatment
        bad = tried.remedy != "R107"
        study.tell(asked.number, 5.0 if bad else abs(math.log10(tried.params["factor"]) + 2))
    best = min(study.history(), key=lambda heard: heard.value)
    assert best.treatment[0].params["factor"] == pytest.approx(0.01, rel=0.6)


def test_likelier_candidates_are_tried_more_before_anything_is_known(journal):
    wide = {"factor": Range(0.0, 1.0, 0.5)}
    likely = Candidate(action("R1", "likely", factor=0.5), wide, weight=20)
    unlikely = Candidate(action("R2", "unlikely", factor=0.5), wide, weight=1)
    study = make(journal, [unlikely, likely])
    asked = [study.ask().treatment[0].remedy for _ in range(20)]
    assert asked.count("R1") > 15


@pytest.mark.parametrize(("objective", "sign"), [(LOSS, 1), (ACCURACY, -1)])
def test_a_diverged_run_is_told_as_just_worse_than_the_worst(journal, objective, sign):
    study = make(journal, objective=objective)
    for value in (1.0, 1.5, math.nan, objective.worst):
        study.tell(study.ask().number, value)
    history = study.history()
    assert [heard.diverged for heard in history] == [False, False, True, True]
    assert all(heard.state == "completed" for heard in history)
    worst = (1.5 if sign > 0 else 1.0) + sign * 0.5
    assert [heard.value for heard in history[2:]] == pytest.approx([worst, worst])


class TestPruning:
    def curve(self, study, asked, values):
        pruned_at = None
        for step, value in zip(CONTROL_CURVE.steps, values, strict=False):
            study.report(asked.number, step, value)
            if pruned_at is None and study.should_prune(asked.number):
                pruned_at = step
        return pruned_at

    def second_trial(self, study):
        study.enqueue(NORM.action)
        study.enqueue(NORM.variants[0])
        study.tell(study.ask().number, 1.0)
        return study.ask()

    def test_worse_throughout_is_pruned_at_half(self, journal):
        study = make(journal, control=CONTROL_CURVE)
        asked = self.second_trial(study)
        assert self.curve(study, asked, [3.0] * 10) == 50
        study.tell_pruned(asked.number)
        assert study.history()[1].state == "pruned"

    def test_the_first_trial_of_a_candidate_is_heard_in_full(self, journal):
        study = make(journal, control=CONTROL_CURVE)
        study.enqueue(NORM.action)
        assert self.curve(study, study.ask(), [3.0] * 10) is None

    @pytest.mark.parametrize(
        "values",
        [
            [3.0] * 3 + [1.0] + [3.0] * 6,  # was better once
            [3.0] * 4 + [2.5, 2.4, 2.3, 2.2, 2.1, 2.0],  # is catching up
            [1.9 - 0.1 * k for k in range(10)],
            CONTROL_CURVE.values,
        ],
    )
    def test_whoever_has_a_chance_goes_on(self, journal, values):
        study = make(journal, control=CONTROL_CURVE)
        assert self.curve(study, self.second_trial(study), values) is None

    def test_diverging_is_worse(self, journal):
        study = make(journal, control=CONTROL_CURVE)
        assert self.curve(study, self.second_trial(study), [2.5] * 3 + [math.nan] * 7) == 50

    def test_a_diverged_control_prunes_nobody(self, journal):
        control = Series(CONTROL_CURVE.steps, [2.0] * 3 + [math.nan] * 7)
        study = make(journal, control=control)
        assert self.curve(study, self.second_trial(study), [3.0] * 10) is None

    def test_without_a_control_nobody_is_pruned(self, journal):
        study = make(journal)
        assert self.curve(study, self.second_trial(study), [3.0] * 10) is None

    def test_chatty_metrics_are_thinned(self, journal):
        control = Series(list(range(10_000)), [1.0] * 10_000)
        study = make(journal, control=control)
        asked = self.second_trial(study)
        for step in range(10_000):
            study.report(asked.number, step, 0.5)
            study.should_prune(asked.number)
        study.tell(asked.number, 0.5)
        assert 4 <= journal.read_text().count('"intermediate_value"') <= 8


class TestResuming:
    def test_finished_trials_are_known_and_orphans_are_heard_again(self, journal):
        first = make(journal)
        first.enqueue(NORM.action)
        first.enqueue(DROP.action)
        first.enqueue(RATE.action)
        first.tell(first.ask().number, 1.0)
        first.ask()  # the process dies here

        second = make(journal)
        states = [heard.state for heard in second.history()]
        assert states == ["completed", "failed"]
        assert not second.enqueue(NORM.action)
        assert not second.enqueue(RATE.action)  # still in the queue
        assert second.enqueue(DROP.action)
        assert second.ask().treatment == (RATE.action,)
        again = second.ask()
        assert again.treatment == (DROP.action,)
        second.tell(again.number, 2.0)
        assert [heard.value for heard in second.history()] == [1.0, None, None, 2.0]

    def test_a_failed_trial_is_not_repeated(self, journal):
        study = make(journal, [DROP])
        study.tell_failed(study.ask().number)
        assert study.history()[0].state == "failed"
        assert study.ask() is None
        assert make(journal, [DROP]).ask() is None

    def test_another_search_space_is_another_study(self, journal):
        exhaust(make(journal, [NORM]))
        assert make(journal, [NORM, DROP]).history() == []

    def test_a_torn_last_line_does_no_harm(self, journal):
        exhaust(make(journal, [NORM]))
        with journal.open("a") as file:
            file.write('{"op_code": 4, "wor')
        assert len(make(journal, [NORM]).history()) == 3
        assert make(journal, [NORM]).ask() is None


def test_a_database_url_serves_as_storage(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    assert len(exhaust(make(url, [NORM]))) == 3
    assert len(make(url, [NORM]).history()) == 3


def test_an_unusable_storage_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InfrastructureError, match="cannot store the search in"):
        make(tmp_path / "file" / "study.log")


@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@127.0.0.1:1/db", "nosuch://me:secret@host/db"]
)
def test_a_database_that_is_not_there_is_named_without_the_password(url):
    with pytest.raises(InfrastructureError, match="cannot store the search in") as caught:
        check_storage(url)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_candidates_must_differ(journal):
    with pytest.raises(ValueError, match="each with its own"):
        make(journal, [NORM, NORM])
    with pytest.raises(ValueError, match="needs candidates"):
        make(journal, [])


def test_nothing_is_printed(journal, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        study = make(journal, control=CONTROL_CURVE)
        for candidate in (NORM, RATE, DROP):
            study.enqueue(candidate.action)
        for _ in range(12):
            asked = study.ask()
            for step in (10, 10, 20):
                study.report(asked.number, step, 1.0)
            study.tell(asked.number, math.nan)
    assert capfd.readouterr() == ("", "")


HOW = {
    "how": Choice(("fixed", "equal", "learned")),
    "factor": Range(1e-3, 1e3, 1.0, log=True, only_with=("how", "fixed")),
}
WEIGH = Candidate(action("R201", "rebalance-losses", "kl", how="fixed", factor=2.0), HOW)


def test_a_parameter_that_means_nothing_is_left_out(journal):
    assert [variant.params for variant in WEIGH.variants] == [{"how": "equal"}, {"how": "learned"}]
    back = Candidate(WEIGH.variants[0], HOW).with_params({"how": "fixed"})
    assert back.params == {"how": "fixed", "factor": 1.0}
    assert not WEIGH.allows(WEIGH.action.model_copy(update={"params": {"how": "fixed"}}))
    assert not WEIGH.allows(
        WEIGH.action.model_copy(update={"params": {"how": "equal", "factor": 2.0}})
    )


def test_without_it_an_option_is_tried_once(journal):
    study = make(journal, [WEIGH])
    assert all(study.enqueue(queued) for queued in (WEIGH.action, *WEIGH.variants))
    tried = []
    for number in range(12):
        asked = study.ask()
        assert asked is not None
        tried.append(asked.treatment[0].params)
        study.tell(asked.number, 1.0 + 0.1 * number)
    assert tried[:3] == [WEIGH.action.params, {"how": "equal"}, {"how": "learned"}]
    assert all(params.keys() == {"how", "factor"} for params in tried[3:])
    assert all(params["how"] == "fixed" for params in tried[3:])

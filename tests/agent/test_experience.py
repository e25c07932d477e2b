"""Past diagnoses count as evidence, and a reviewer's word is the last."""

from __future__ import annotations

import json

import pytest

from agent.experience import PRIOR_STRENGTH, Experience, gather, write_evidence
from agent.ranking import rank
from probes.symptom import Symptom
from probes.trace import Trace
from remedies import remedies
from tests.agent.made_up import MadeUp, episode_of

RATE = remedies["scale-learning-rate"]


def lines(*ends: str, review: str = "", symptom: str = "P303") -> list[tuple[str, str]]:
    return [(json.dumps([[symptom, RATE.code, end]]), review) for end in ends]


def test_without_any_it_is_the_written_prior() -> None:
    assert Experience().chance(RATE, "P303") == pytest.approx(RATE.treats["P303"])
    assert Experience().chance(RATE, "P101") < 0.5


def test_what_was_confirmed_gets_likelier_and_what_was_refuted_less() -> None:
    prior = RATE.treats["P303"]
    assert gather(lines(*["confirmed"] * 4)).chance(RATE, "P303") > prior
    refuted = gather(lines(*["refuted"] * 4)).chance(RATE, "P303")
    assert refuted == pytest.approx(PRIOR_STRENGTH * prior / (PRIOR_STRENGTH + 4))


def test_a_rejected_diagnosis_counts_against_its_remedy() -> None:
    rejected = gather(lines("confirmed", review="rejected"))
    assert rejected.chance(RATE, "P303") == gather(lines("refuted")).chance(RATE, "P303")
    assert rejected.records["P303", RATE.code].rejected == 1
    accepted = gather(lines("confirmed", review="accepted"))
    assert accepted.chance(RATE, "P303") > RATE.treats["P303"]


@pytest.mark.parametrize("written", ["", "no", "{}", "[1]", '[["P303"]]', '[["P303", 1, 2]]'])
def test_a_tag_that_somebody_spoiled_is_no_evidence(written) -> None:
    assert gather([(written, "")]).records == {}


def test_the_order_is_that_of_experience() -> None:
    alarm = Symptom(code="P303", name="unstable-loss", severity=1, where="SGD", message="")
    trace = Trace()
    first = [h.remedy.code for h in rank(remedies, [alarm], trace)]
    assert len(first) > 1
    against = [[["P303", first[0], "refuted"]]] * 9
    for_it = [[["P303", first[-1], "confirmed"]]] * 9
    told = gather([(json.dumps(entries), "") for entries in against + for_it])
    second = [h.remedy.code for h in rank(remedies, [alarm], trace, experience=told)]
    assert second[0] == first[-1] and set(second) >= set(first)


def test_a_diagnosis_says_what_it_confirmed_and_refuted(diagnosis) -> None:
    found = diagnosis()
    entries = json.loads(write_evidence(found))
    alarms = {symptom.code for symptom in found.symptoms if symptom.alarming}
    assert entries and {entry[0] for entry in entries} <= alarms
    confirmed = {entry[1] for entry in entries if entry[2] == "confirmed"}
    assert confirmed == {action.remedy for action in found.fix.treatment}


def test_an_episode_asks_it(tmp_path) -> None:
    launcher = MadeUp(lambda treatment: 0.2)
    told = gather(lines(*["refuted"] * 30))
    plain = episode_of(launcher, tmp_path).hypotheses()
    wiser = episode_of(launcher, tmp_path, experience=told).hypotheses()
    weights = [{h.remedy.code: h.weight for h in found}[RATE.code] for found in (plain, wiser)]
    assert weights[1] < weights[0]

import math
from collections.abc import Callable, Iterator

import pytest

from agent.diagnosis import Diagnosis, Excerpt, PatchCheck
from agent.page.evidence import Evidence
from agent.workload import Outcome, TrialSpec
from probes.trace import Event, Trace
from remedies.treatment import CONTROL

WICKED = (
    "net[bold]x\x1b[31m|<b>*_`\u202e\n# h\"'><script>alert(1)</script></style></svg>$a_b$&amp;"
    + "y" * 10_000
)


def make_trace(places: int, metric: str, term: str, module: str, level: float) -> Trace:
    """An untreated run with everything that a page shows."""
    events: list[Event] = [{"event": "module", "where": module, "type": "Net", "parameters": 999}]
    names = [f"{module}.{number}" for number in range(places)]
    for number, where in enumerate(names):
        kind = "BatchNorm1d" if number % 3 == 1 else "Linear"
        about = {"where": where, "type": kind, "parent": module, "source": f"train.py:{number}"}
        events.append({"event": "module", "parameters": 10, **about})
    for step in range(0, 320, 4):
        rows = [[w, "output.sample_std", math.exp(n / 4) + step / 99] for n, w in enumerate(names)]
        rows += [["loss", "loss.value", 2.0 - step / 200]]
        rows += [[f"{term}{n}", "term.share", share] for n, share in enumerate((0.7, 0.2, 0.1))]
        events.append({"event": "signals", "step": step, "phase": "train", "rows": rows})
    for step in range(32, 320, 32):
        rows = [[w, "output.sample_std", 0.01 if step > 100 else 1.0] for w in names]
        events.append({"event": "signals", "step": step, "phase": "eval", "rows": rows})
        value = level * (1 - math.exp(-step / 60))
        events.append({"event": "metric", "step": step, "name": metric, "value": value})
    ending = {"event": "ending", "status": "completed", "steps": 320}
    return Trace.of([*events, ending])


@pytest.fixture
def evidence(diagnosis: Callable[..., Diagnosis]) -> Callable[..., Evidence]:
    """A whole diagnosis with its traces; ``evil`` names everything what nobody would."""

    def make(evil: str = "", places: int = 12, **changes: object) -> Evidence:
        whole = diagnosis()
        metric, module = evil or "val_acc", evil or "convs"
        name = {"name": metric} if evil else {}
        symptom = whole.symptoms[0].model_copy(update={"where": f"{module}.1", "source": "t.py:2"})
        told = diagnosis(
            workload=whole.workload.model_dump()
            | {"metric": whole.workload.metric.model_dump() | name if whole.workload.metric else {}}
            | ({"script": evil, "args": [evil]} if evil else {}),
            symptoms=[symptom.model_dump() | ({"message": evil} if evil else {})],
            excerpts=[Excerpt(file="t.py", first=1, lines=(evil, "\tb = 2"), marked=(2,))],
            command=f"agent diagnose {evil or 'train.py'}",
            **changes,
        )
        if evil and told.fix is not None:
            check = PatchCheck(passed=True, reason=evil)
            bad = {"advice": evil, "patch": f"--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{evil}\n+{evil}\n"}
            told = told.model_copy(
                update={"fix": told.fix.model_copy(update=bad | {"patch_check": check})}
            )
        return Evidence.of(told, outcomes(told, places, metric, evil or "loss_", module))

    return make


def outcomes(
    told: Diagnosis, places: int, metric: str, term: str, module: str
) -> Iterator[Outcome]:
    """The trials of a diagnosis: the untreated run, and a pair for each seed."""
    yield Outcome(TrialSpec(0), make_trace(places, metric, term, module, 0.2))
    for seed in told.fix.metric_after if told.fix else ():
        control = make_trace(1, metric, term, module, 0.2 + seed / 50)
        treated = make_trace(1, metric, term, module, 0.97 + seed / 99)
        yield Outcome(TrialSpec(2 * seed, CONTROL, seed), control)
        if told.fix:
            yield Outcome(TrialSpec(2 * seed + 1, told.fix.treatment, seed), treated)

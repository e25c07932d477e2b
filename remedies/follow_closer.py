"""R315: an averaged copy that follows the weights more closely."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probes import _averages
from probes.lagging_average import BEHIND
from probes.symptom import Symptom
from probes.trace import Trace
from remedies._named import named
from remedies.base import Remedy
from remedies.source.errors import Unwritable
from remedies.space import Range, Space
from remedies.treatment import Action

if TYPE_CHECKING:
    from remedies.source.source import Source
    from remedies.surgery import Program


class FollowCloser(Remedy):
    """An averaged copy that follows the weights more closely.

    What it does:
        After each optimizer step, pulls the copy towards the weights, by one part in ``horizon`` of
        its distance from them, so that it is an average over about so many steps. Its buffers of
        floating-point numbers, such as running statistics, go with it. Where averages are put into
        the model for its evaluation, closer ones take their place for each pass. Training stays the
        same unless it uses the copy.

    When it helps:
        The copy is what is evaluated, and its decay is too slow for the length of the run; or its
        running statistics are not averaged at all.

    Parameters:
        ``horizon``: how many steps the average reaches back over; tried first is a tenth of the
        observed run, and a fiftieth to three tenths of it is searched on a log scale.

    In the script:
        A decay of 1 - 1 / (horizon in updates of the copy): 0.975 for a run of 400 steps.

    Source:
        Tarvainen and Valpola 2017, Mean teachers are better role models; Karras et al. 2024,
        Analyzing and Improving the Training Dynamics of Diffusion Models (averages over a share of
        the run, a tenth for example).
    """

    code = "R315"
    name = "follow-closer"
    treats = {"P102": 0.9, "P313": 0.95}
    acts_on = "averaged copies of a model"

    @property
    def space(self) -> Space:
        """See the class."""
        return {"horizon": Range(1.0, 1e6, default=100.0, log=True)}

    def space_for(self, trace: Trace) -> Space:
        """In proportion to the observed run."""
        steps = max(50, trace.steps)
        return {"horizon": Range(steps / 50, 0.3 * steps, default=steps / 10, log=True)}

    def targets(self, symptoms: Iterable[Symptom], trace: Trace) -> Iterable[str]:
        """The models whose copies the symptoms name, as a whole or by a part."""
        symptoms = list(symptoms)
        models = [_averages.averaged(trace, symptom.where) for symptom in symptoms]
        whole = named((symptom for symptom in symptoms if symptom.code != "P102"), trace)
        return list(dict.fromkeys([*whole, *filter(None, models)]))

    def apply(self, program: Program, action: Action) -> None:
        """Pull after each step."""
        from remedies.surgery.followers import Followers
        from remedies.surgery.swapped_averages import SwappedAverages

        horizon = float(action.params["horizon"])
        if horizon < 1:
            raise ValueError(f"{action}: the horizon must be one step or more")
        if not action.targets:
            raise ValueError(f"{action}: needs a copy to pull")

        def tell(where: str) -> None:
            program.report(action, where, f"an average over {horizon:.3g} steps")

        followers = Followers(action.targets, horizon, lambda: program.copies, tell)
        program.around_steps(followers.before_step, followers.after_step)
        swapped = SwappedAverages(action.targets, horizon, program.module_name, tell)
        program.around_steps(swapped.before_step, swapped.after_step)
        for undo in swapped.install():
            program.at_close(undo)

    def advice(self, action: Action) -> str:
        """Which decay is right."""
        horizon = float(action.params["horizon"])
        return (
            f"Average over about {horizon:.3g} steps: a decay of {_decay(1 / horizon)} where the "
            f"copy of {action.target or 'the model'} is updated after each step, and of "
            f"1 - n / {horizon:.3g} where it is after every n-th. Its buffers, such as running "
            "statistics, are to be copied each time."
        )

    def rewrite(self, source: Source, action: Action) -> None:
        """Give the average another decay where it is written as a number.

        Where it was close enough, it lacks the buffers, which are copied then.
        """
        if len(action.targets) != 1:
            raise Unwritable("there are several copies")
        lines = _averages.written(source.trace, action.target)
        look = _averages.last_look(source.trace, action.target)
        if look is not None and look.lag <= BEHIND:
            return source.copy_buffers(lines)
        share = _averages.slowness(source.trace, action.target)
        if not share:
            raise Unwritable("the copy was not seen to follow the weights")
        updates = _averages.updates_per_step(source.trace, action.target)
        new = 1 / max(1.0, float(action.params["horizon"]) * updates)
        source.average_faster(lines, share, float(f"{new:.2g}"))


def _decay(share: float) -> str:
    """The decay of an average that goes a share of its distance at each update."""
    return f"{1 - float(f'{share:.2g}'):.6g}"

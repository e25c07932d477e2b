"""The source of a program as the remedies see it: what can be changed for good, and where."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from probes.facts import ModuleInfo
from remedies.source import (
    averages,
    buffers,
    cuts,
    dropping,
    freezing,
    functions,
    membership,
    modes,
    precision,
    recurrences,
    residuals,
    returns,
    sampling,
    schedules,
    shapes,
    states,
    steps,
    terms,
)
from remedies.source.calls import CallSite, calls_at, calls_of
from remedies.source.errors import Unwritable
from remedies.source.files import Files
from remedies.source.optimizers import optimizer_calls


class Source(Files):
    """The user's files, with what the untreated run told about their lines.

    Every method raises `Unwritable` where a change would not be safe.
    """

    def constructors(self, paths: Iterable[str]) -> list[CallSite]:
        """The calls that make these modules of torch, and none but these."""
        wanted = set(paths)
        made: dict[tuple[str | None, str], list[ModuleInfo]] = {}
        for info in self.trace.modules.values():
            made.setdefault((info.source, info.type), []).append(info)
        found: list[CallSite] = []
        for infos in made.values():
            ours = wanted & {info.where for info in infos}
            if ours and len(ours) < len(infos):
                raise Unwritable(f"the line of {min(ours)} makes other modules, too")
            found += self._constructors_of(infos) if ours else []
            wanted -= ours
        if wanted:
            raise Unwritable(f"{min(wanted)} was not seen")
        return found

    def _constructors_of(self, infos: list[ModuleInfo]) -> list[CallSite]:
        file, line = self.place(infos[0].source)
        name = f"torch.nn.{infos[0].type}"
        calls = calls_at(file, line, name)
        if not calls or len(infos) % len(calls):
            raise Unwritable(f"{name} is not called as often as it should be")
        return [CallSite(file, call, name, tuple(infos)) for call in calls]

    def optimizers(self) -> list[CallSite]:
        """The calls that make an optimizer."""
        self.open_all()
        return optimizer_calls(self.files)

    def calls(self, names: Collection[str], places: Iterable[str]) -> list[CallSite]:
        """All calls of something imported, in the script and where it was seen to be called.

        Args:
            names: Full names, ``torch.utils.checkpoint.checkpoint``.
            places: Lines that called it in the untreated run, ``train.py:12``.
        """
        seen = [self.place(place) for place in places]
        files = {file.path: file for file in (*(f for f, _ in seen), self._open(self._script))}
        found = [site for file in files.values() for site in calls_of(file, names)]
        for file, line in seen:
            if not any(site.file is file and site.reaches(line) for site in found):
                raise Unwritable(f"{file.path}:{line} does not call it by its name")
        if not found:
            raise Unwritable(f"{min(names)} is not called in the script")
        return found

    def replace_function(self, place: str, operation: str, name: str) -> None:
        """Call another function of `torch.nn.functional` at a line, with the same arguments."""
        file, line = self.place(place)
        functions.replace(file, line, operation, name)

    def limit_argument(self, place: str, operation: str, limit: str) -> None:
        """Put a method call, ``clamp(min=1e-6)``, behind the argument of a function at a line."""
        file, line = self.place(place)
        functions.limit(file, line, operation, limit)

    def scale_term(self, name: str, factor: float) -> None:
        """Multiply a loss term where the loss is put together."""
        terms.scale(self._part(name, all_of_it=False), factor)

    def drop_term(self, name: str) -> None:
        """Take a loss term out of the sum."""
        part = self._part(name, all_of_it=True)
        dropping.drop(part.file, part.node, part.parent)

    def wrap_return(self, place: str, function: str) -> None:
        """Have the ``forward`` defined at a place return a norm of what it returns now."""
        file, line = self.place(place)
        returns.wrap_return(file, line, function)

    def keep_mean(self, place: str) -> None:
        """Leave nothing but the deterministic part where noise is added."""
        info = self.trace.noises.get(place)
        if info is None:
            raise Unwritable(f"{place} was not seen")
        file, line = self.place(info.source)
        sampling.keep_mean(file, line, info.operand)

    def clear_gradients(self) -> None:
        """Have gradients cleared after each step."""
        for place in self._steps():
            steps.clear_after_step(*self.place(place), moved=False)

    def put_step_right(self) -> None:
        """Have steps made after the backward pass, with its gradients."""
        for info in self.trace.loops.values():
            file, line = self.place(info.stepped)
            after = self.place(info.backward) if info.backward else (file, 0)
            if after[0] is not file or not steps.step_after_backward(file, line, after[1]):
                steps.clear_after_step(file, line, moved=True)

    def clip_gradients(self, limit: float) -> None:
        """Have gradients clipped to a norm before each step."""
        for place in self._steps():
            steps.clip_before_step(*self.place(place), limit)

    def optimise_all(self, places: Collection[str]) -> None:
        """Give the optimizer all parameters of the model that these modules belong to."""
        calls = self.optimizers()
        roots = {self.root(place) for place in places}
        if len(calls) != 1 or len(roots) != 1 or None in roots:
            raise Unwritable("there are several optimizers or models, or a model that is not known")
        known = [m for m in self.trace.modules if m not in roots and self.root(m) in roots]
        membership.widen(calls[0], known)

    def align_shapes(self, places: Iterable[str]) -> None:
        """Give the two sides of the losses at these lines the same shape."""
        for place in places:
            shapes.align(*self.place(place))

    def average_faster(self, places: Iterable[str], share: float, new: float) -> None:
        """Have an average go another share of its distance at each update.

        Args:
            places: The lines that update it.
            share: Which share it was seen to go.
            new: Which one it is to go.
        """
        self.open_all()
        averages.set_share([self.place(place) for place in places], self.files, share, new)

    def copy_buffers(self, places: Iterable[str]) -> None:
        """Have a copy that is updated at these lines take over the buffers of its model, too."""
        self.open_all()
        buffers.copy_along([self.place(place) for place in places], self.files)

    def copy_states(self, places: Iterable[str]) -> None:
        """Copy the states of models that these lines take."""
        for place in places:
            states.copy_state(*self.place(place))

    def autocast_instead(self, place: str) -> None:
        """Leave a model in float32 that is cast at a line, and compute it under autocast."""
        file, line = self.place(place)
        roots = [info for info in self.trace.modules.values() if info.parent is None]
        if len(roots) != 1 or roots[0].defined is None:
            raise Unwritable("there are several models, or none with a forward of its own")
        dtype = precision.take_cast_out(file, line)
        precision.put_under_autocast(*self.place(roots[0].defined), dtype)

    def move_schedule(self) -> None:
        """Have the schedule make its step after the loop over the batches."""
        for place in self._steps():
            schedules.move_behind_loop(*self.place(place))

    def scale_branches(self, paths: Collection[str]) -> None:
        """Multiply what residual branches add by one over the root of their number."""
        self.open_all()
        residuals.scale_by_depth(self.files, paths)

    def freeze(self, places: Iterable[str]) -> None:
        """Freeze what an attribute was to freeze at these lines."""
        for place in places:
            freezing.call_instead(*self.place(place))

    def keep_in_graph(self, place: str) -> None:
        """Leave the tensor in the graph that a line takes out of it."""
        kinds = {name for _, where, name in self.trace.signals if where.endswith(f"@{place}")}
        cut = sorted(name.removeprefix("cut.") for name in kinds if name.startswith("cut."))
        if len(cut) != 1:
            raise Unwritable(f"{place} was seen to do {' and '.join(cut) or 'nothing'}")
        around = [w for w in self.trace.places("recurrence.carried") if w.endswith(f"@{place}")]
        if not around:
            return cuts.take_out(*self.place(place), cut[0])
        carried = self.trace.signal("train", around[0], "recurrence.carried").values
        recurrences.take_out(*self.place(place), cut[0], any(carried))

    def train_in_loop(self, *marks: str) -> None:
        """Put the model into training mode in the loop that calls these in its evaluation."""
        places = {info.backward for info in self.trace.loops.values()}
        if len(places) != 1:
            raise Unwritable(f"there are {len(places)} backward passes")
        modes.train_in_loop(*self.place(places.pop()), marks)

    def eval_before(self, place: str) -> None:
        """Put the model into evaluation mode before a line without gradients."""
        modes.eval_before(*self.place(place))

    def _steps(self) -> set[str | None]:
        places = {info.stepped for info in self.trace.loops.values()}
        if not places:
            raise Unwritable("no step of an optimizer was seen")
        return places

    def _part(self, name: str, all_of_it: bool) -> terms.Part:
        info = self.trace.terms.get(name)
        if info is None:
            raise Unwritable(f"{name} was not seen")
        computed_in, line = self.place(info.source)
        files = {computed_in.path: computed_in, self._script: self._open(self._script)}
        parts = [
            part
            for file in files.values()
            for part in terms.parts(file, name, line if file is computed_in else None)
        ]
        summands = [part for part in parts if part.summand]
        found = summands or ([] if all_of_it else parts)
        if len(found) != 1:
            raise Unwritable(f"{name} is added to the loss in {len(found)} places")
        return found[0]

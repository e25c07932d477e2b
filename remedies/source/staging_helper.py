"""The helper that lets modules in after a number of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from remedies.source.errors import Unwritable
from remedies.source.helpers import Helper, listed, model_of, optimizer_of
from remedies.source.source import Source

_NAMES = {
    "nn": "nn",
    "functional": "nn.functional",
    "zeros": "zeros_like",
    "tensor": "Tensor",
}
_APART = '''\
from torch.utils._pytree import tree_map_only

def let_in(module, args, output):
    """Keeps a module out of the forward pass {how}."""
    share = {share}
    mute = (lambda part: share * part) if share else {zeros}
    return output if share == 1.0 else tree_map_only({tensor}, mute, output)

let_in.steps = 0
{optimizer}.register_step_post_hook(lambda *_: setattr(let_in, "steps", let_in.steps + 1))
for module_path in ({paths}):
    {model}.get_submodule(module_path).register_forward_hook(let_in)
'''
_BEGIN = '''\
from torch.utils._pytree import tree_map_only

class LetIn:
    """Keeps a module out of the forward pass {how}."""

    steps{film} = 0{none}

    def __init__(self, adds):
        self.adds = adds  # whether it gives its first input plus something

    def __call__(self, module, args, output):
        share = {share}
        if share == 1.0:
            return output
        if not self.adds:
            mute = (lambda part: share * part) if share else {zeros}
            return tree_map_only({tensor}, mute, output)
        idle = {idle}
        return idle + share * (output - idle) if share else idle
'''
_SCALED = '''
    def scaled(self, stream, context):
        """The stream, scaled and shifted by what the second input is on average."""
        context = context.flatten(1, -2).mean(1) if context.dim() > 2 else context
        if self.film is None:
            sizes = (2 * stream.shape[-1], context.shape[1]), (2 * stream.shape[-1],)
            self.film = [{nn}.Parameter(stream.new_zeros(size)) for size in sizes]
            {optimizer}.param_groups[0]["params"].extend(self.film)
        film = {functional}.linear(context, *self.film)
        film = film.reshape(len(film), *[1] * (stream.dim() - 2), -1)
        scale, shift = film.chunk(2, dim=-1)
        return stream * (1 + scale) + shift
'''
_END = """
{optimizer}.register_step_post_hook(lambda *_: setattr(LetIn, "steps", LetIn.steps + 1))
for module_path, adds in ({pairs}):
    {model}.get_submodule(module_path).register_forward_hook(LetIn(adds))
"""


def staging(source: Source, paths: Sequence[str], until: float, linear: bool, film: bool) -> Helper:
    """Hooks that keep modules out until a step, behind the line that makes the optimizer.

    Args:
        source: The user's files.
        paths: The modules.
        until: The step at which they begin to take part.
        linear: Whether they come in gradually, the whole of them at twice that step.
        film: Whether scale and shift by the second input stand in for what adds within itself.

    Raises:
        Unwritable: Model and optimizer are not made in one function, or convolutions make the
            last dimension another thing than the features.
    """
    from remedies.source.imports import written_name

    model, below = model_of(source, paths)
    optimizer = optimizer_of(source)
    within = [path for path in paths if source.trace.signal("train", path, "branch.inputs").values]
    if model.file is not optimizer.file:
        raise Unwritable("model and optimizer are made in different files")
    film = film and bool(within)
    if film:
        _check_features(source, within)
    names = {short: written_name(model.file, f"torch.{long}") for short, long in _NAMES.items()}
    share, how = _timing(f"{until:g}", f"{2 * until:g}" if linear else "")
    names |= {"how": how, "optimizer": optimizer.name, "model": model.name}
    if within:
        pairs = [f'("{path}", {own in within})' for path, own in zip(below, paths, strict=True)]
        listed_pairs = ", ".join(pairs) + ("," if len(pairs) == 1 else "")
        code = _adding(share.format(count="self.steps"), listed_pairs, film, names)
    else:
        code = _APART.format(share=share.format(count="let_in.steps"), paths=listed(below), **names)
    exact = model.exact and optimizer.exact and source.same_scope(model.place, optimizer.place)
    return Helper(optimizer.place, "makes the optimizer", code, exact)


def _check_features(source: Source, within: Sequence[str]) -> None:
    for where, info in source.trace.modules.items():
        if info.type.startswith("Conv") and any(where.startswith(f"{path}.") for path in within):
            raise Unwritable(f"which dimension of the features {where} has is not clear")


def _timing(start: str, whole: str) -> tuple[str, str]:
    """How much of a module counts, by ``{count}`` of steps, and the same in words."""
    if not whole:
        return f"float({{count}} >= {start})", f"up to step {start}"
    share = f"min(1.0, max(0.0, ({{count}} - {start}) / {start}))"
    return share, f"up to step {start}; all of it counts from step {whole} on"


def _adding(share: str, pairs: str, film: bool, names: Mapping[str, str]) -> str:
    """The lines for modules of which some give their input plus something."""
    begin = _BEGIN.format(
        share=share,
        film=", film" if film else "",
        none=", None" if film else "",
        idle="self.scaled(*args) if len(args) > 1 else args[0]" if film else "args[0]",
        **names,
    )
    return begin + (_SCALED.format(**names) if film else "") + _END.format(pairs=pairs, **names)

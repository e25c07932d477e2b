"""The probes and remedies that there are: `agent list`, `agent explain`, and looking one up."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import click

from agent.errors import InfrastructureError, UsageError

if TYPE_CHECKING:
    from probes import Probe
    from probes.registry import Registry
    from remedies import Remedy
    from remedies.space import Choice, Range


@click.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_command(as_json: bool) -> None:
    """List all probes and remedies."""
    probes, remedies = registries()
    rows = [
        {"kind": kind, "code": unit.code, "name": unit.name, "doc": _first_line(unit)}
        for kind, units in (("probe", probes), ("remedy", remedies))
        for unit in units
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for kind, title in (("probe", "Probes name the fault:"), ("remedy", "Remedies treat it:")):
        click.secho(title, bold=True)
        for row in rows:
            if row["kind"] == kind:
                click.echo(f"  {row['code']}  {row['name']:<{width}}  {row['doc']}")


@click.command("explain")
@click.argument("unit", metavar="CODE|NAME")
def explain_command(unit: str) -> None:
    """Explain a probe or a remedy."""
    title, page, relations = explanation(unit)
    click.secho(title, bold=True)
    for line in page:
        click.secho(line, bold=bool(re.fullmatch(r"(#+ )?[A-Z][\w ]*:?", line)))
    click.echo()
    for line in relations:
        click.echo(line)


def explanation(key: str) -> tuple[str, list[str], list[str]]:
    """Title, page and relations of the probe or remedy with this code or name.

    Raises:
        UsageError: There is none.
    """
    probes, remedies = registries()
    found = look_up(key, probes, remedies)
    page = inspect.cleandoc(type(found).__doc__ or "").replace("``", "`").splitlines()
    return f"{found.code} {found.name}", page, list(_relations(found, remedies))


def registries() -> tuple[Registry[Probe], Registry[Remedy]]:
    """All probes and all remedies.

    Raises:
        InfrastructureError: One of them is broken, or two have the same code.
    """
    from probes import probes
    from probes.registry import RegistryError
    from remedies import remedies

    try:
        len(probes), len(remedies)
    except RegistryError as error:
        raise InfrastructureError(str(error)) from error
    return probes, remedies


def look_up(key: str, *among: Registry[Any]) -> Any:
    """The unit with this code or name.

    Raises:
        UsageError: There is none; the message says which one may have been meant.
    """
    from probes.registry import suggest

    for registry in among:
        if key in registry:
            return registry[key]
    near = suggest(key, [known for registry in among for known in registry.keys()])
    hint = near if near.startswith(".") else "; agent list shows what there is"
    raise UsageError(f"no such code or name: {key!r}{hint}")


_PERMANENT = {
    "model": "by a patch, or remedies.apply(treatment, model)",
    "optimizer": "by a patch, or remedies.apply(treatment, model, optimizer)",
    "script": "by a patch where one can be written, or by hand",
}


def _first_line(unit: object) -> str:
    return (inspect.getdoc(type(unit)) or "").partition("\n")[0]


def _relations(unit: Probe | Remedy, remedies: Iterable[Remedy]) -> Iterator[str]:
    """What a docstring does not say: which probes and remedies belong together, the space."""
    from remedies.base import Remedy

    if not isinstance(unit, Remedy):
        yield f"Signals: {', '.join(unit.signals) or 'none'}"
        chances = [(remedy.treats.get(unit.code, 0.0), remedy) for remedy in remedies]
        chances.sort(key=lambda pair: -pair[0])
        names = [f"{remedy.code} {remedy.name}" for chance, remedy in chances if chance > 0]
        yield f"Remedies, likeliest first: {', '.join(names) or 'none'}"
        return
    yield f"Acts on: {unit.acts_on}"
    yield f"For good: {_PERMANENT[unit.reach]}"
    treated = sorted(unit.treats, key=lambda code: -unit.treats[code])
    yield f"Treats, likeliest first: {', '.join(treated)}"
    for name, dimension in unit.space.items():
        yield f"Parameter {name}: {values(dimension)}"


def values(dimension: Choice | Range) -> str:
    """The values of a parameter, for a reader."""
    from remedies.space import Choice

    if isinstance(dimension, Choice):
        return " | ".join(map(str, dimension.options))
    scale = ", log scale" if dimension.log else ""
    only = " (only with {}={})".format(*dimension.only_with) if dimension.only_with else ""
    return f"{dimension.low:g} to {dimension.high:g}{scale}, first {dimension.default:g}{only}"

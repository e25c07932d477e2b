"""The report as one page that needs nothing else: HTML, its style, and figures as SVG.

It asks for nothing over the network and runs no script; a content security policy says so, too.
What a script can name (metrics, modules, exceptions) is data to the template, escaped by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files

from agent.page.canvas import Picture, styled
from agent.page.evidence import Evidence
from agent.page.facts import facts

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True)
class Page:
    """The report.

    Attributes:
        html: The page.
        pictures: Its figures as PNG, by file name.
    """

    html: str
    pictures: dict[str, bytes]


def make_page(evidence: Evidence) -> Page:
    """Make the page of a diagnosis.

    Args:
        evidence: The diagnosis, with the traces that are to be shown.
    """
    pictures = draw(evidence)
    html = _render(evidence, {picture.name: picture for picture in pictures})
    return Page(html, {f"{picture.name}.png": picture.png for picture in pictures})


def draw(evidence: Evidence) -> list[Picture]:
    """All figures that the evidence is enough for."""
    from agent.page import curves, signals

    one_by_one: list[Callable[[Evidence], Picture | None]] = [
        curves.metric_curves,
        curves.by_seed,
        signals.term_shares,
        curves.candidates,
    ]
    if evidence.diagnosis.verdict == "healthy":
        one_by_one = [curves.metric_curves]
    with styled():
        found = [draw_one(evidence) for draw_one in one_by_one]
        return [*(picture for picture in found if picture), *signals.where_and_when(evidence)]


def _render(evidence: Evidence, pictures: dict[str, Picture]) -> str:
    import jinja2
    import markupsafe

    here = files("agent.page")
    # The figures and the style are ours; everything else is escaped.
    trusted = {name: markupsafe.Markup(picture.svg) for name, picture in pictures.items()}
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True,
        finalize=lambda value: _harmless(value) if type(value) is str else value,
    )  # fmt: skip
    template = environment.from_string((here / "page.html").read_text("utf-8"))
    style = markupsafe.Markup((here / "page.css").read_text("utf-8"))
    return (
        template.render(facts(evidence), style=style, svg=trusted, pictures=pictures)
        .encode("utf-8", "replace")
        .decode("utf-8")
    )


def _harmless(text: str) -> str:
    """Without what turns or hides the text around it."""
    return _CONTROL.sub(" ", text)

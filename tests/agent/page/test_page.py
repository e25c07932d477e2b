"""The page: complete, harmless, small, and in need of nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agent.diagnosis import Diagnosis
from agent.page import Page, draw, make_page
from agent.page.evidence import Evidence

WICKED = (
    "</style></svg>\"'><script>alert(1)</script><img src=x onerror=alert(1)>$a_b$\x1b[31m\u202e"
)
Make = Callable[..., Evidence]
FIGURES = {"metric", "seeds", "terms", "candidates", "signal-train", "signal-eval"}


_made: list[Page] = []


@pytest.fixture
def page(evidence: Make) -> Page:
    """The page of a whole diagnosis, made once."""
    if not _made:
        _made.append(make_page(evidence()))
    return _made[0]


class Elements(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += f"{data} "


def test_it_tells_everything(page: Page) -> None:
    seen = Elements(page.html)
    text = " ".join(seen.text.split())
    for said in (
        "fixed train-eval-divergence at convs.1 (t.py:2)",
        "Fix swap-norm(to=instance) @ net.1",
        "val_acc 0.168 → 0.97",
        "+0.802 (0.77 to 0.84)",
        "2 seeds, p = 0.0012",
        "Use nn.InstanceNorm1d in place of net.1.",
        "--- a/train.py +++ b/train.py @@ -1 +1 @@ -old +new",
        "val_acc, treated against untreated",
        "output.sample_std in training, untreated",
        "P101 train-eval-divergence at convs.1 (t.py:2)",
        "2 b = 2",
        "1 BatchNorm1d P101 train-eval-divergence 10 parameters train.py:1",
        "refuted inject-noise(strength=0.2) @ net.1 0.165 → 0.166",
        "seeds other than the 2 of the confirmation",
        "agent apply abc",
        "agent diagnose train.py",
    ):
        assert said in text, said
    assert {name.removesuffix(".png") for name in page.pictures} == FIGURES
    assert all(png.startswith(b"\x89PNG") for png in page.pictures.values())
    assert seen.tags.count("svg") == len(FIGURES)


def test_it_needs_nothing_and_runs_nothing(page: Page) -> None:
    seen = Elements(page.html)
    assert not {"script", "iframe", "img", "object", "embed", "form"} & set(seen.tags)
    fetched = [v for n, v in seen.attributes if n in ("src", "href", "xlink:href", "data")]
    assert all(value.startswith(("#", "data:")) for value in fetched)
    styles = " ".join(value for name, value in seen.attributes if name == "style")
    assert "url(http" not in styles and "@import" not in seen.text
    assert ("http-equiv", "Content-Security-Policy") in seen.attributes


def test_identifiers_are_unique_and_their_references_lead_somewhere(page: Page) -> None:
    defined = re.findall(r'\bid="([^"]+)"', page.html)
    assert len(defined) == len(set(defined))
    used = re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', page.html)
    assert used
    assert {one or other for one, other in used} <= set(defined)


def test_figures_follow_the_colours_of_the_page(evidence: Make) -> None:
    drawn = draw(evidence())
    for picture in drawn:
        assert "var(--muted)" in picture.svg
        assert not re.search(r"fill: #(?!fff|000)", picture.svg), picture.name
    heat = next(picture for picture in drawn if picture.name == "signal-eval")
    assert "Marked: convs.1, and step 32, where P101 set in" in heat.caption


def test_hostile_names_stay_text(evidence: Make) -> None:
    page = make_page(evidence(evil=WICKED, places=3)).html
    seen = Elements(page)
    assert not {"script", "img"} & set(seen.tags)
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert "<script>alert(1)</script>" in seen.text
    assert "$a_b$" in seen.text
    assert not re.search("[\x1b\u202e]", page)


def test_endless_names_do_not_make_an_endless_page(evidence: Make) -> None:
    assert len(make_page(evidence(evil="y" * 10_000, places=3)).html) < 400_000


def test_two_hundred_trials_and_a_thousand_modules_fit(evidence: Make) -> None:
    tried = [
        entry.model_dump() | {"reason": f"{entry.reason} {number}"}
        for number in range(70)
        for entry in evidence().diagnosis.tried
    ]
    page = make_page(evidence(tried=tried, places=1000))
    assert len(page.html) < 2_000_000
    assert "more are in diagnosis.json" in page.html
    assert "28 of 1000 places" in page.html
    assert "convs.1" in Elements(page.html).text


@pytest.mark.parametrize("verdict", ["healthy", "unresolved", "failed"])
def test_every_verdict_has_a_page(diagnosis: Callable[..., Diagnosis], verdict: str) -> None:
    told = diagnosis(verdict=verdict, fix=None, summary="", error="it broke" * 3)
    page = make_page(Evidence.of(told, []))
    assert f'<body class="{verdict}">' in page.html
    assert "agent apply" not in page.html


def test_what_is_nearly_empty_has_a_page(diagnosis: Callable[..., Diagnosis]) -> None:
    bare = diagnosis(symptoms=[], tried=[], fix=None, mlflow=None, verdict="unresolved")
    assert "any remedy: no trial was run" in make_page(Evidence.of(bare, [])).html


def test_the_users_look_of_matplotlib_changes_nothing(page: Page, evidence: Make) -> None:
    import matplotlib

    with matplotlib.rc_context({"figure.facecolor": "red", "font.size": 30, "text.usetex": True}):
        assert all(picture.svg in page.html for picture in draw(evidence()))
        assert matplotlib.rcParams["font.size"] == 30


def test_the_page_is_among_the_files_of_the_package() -> None:
    import tomllib

    root = Path(__file__).parents[3]
    setup = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "agent.page" in setup["packages"]
    assert {"*.html", "*.css"} <= set(setup["package-data"]["agent.page"])


@pytest.mark.parametrize("low", [1.0, 1e-3, 1e-12])
def test_a_logarithmic_axis_has_plain_numbers(low: float) -> None:
    from agent.page.canvas import finish, logarithmic, new_figure, styled

    with styled():
        figure, (axes,) = new_figure()
        axes.plot([0, 1], [low, 200.0])
        axes.set_yscale("log")
        logarithmic(axes.yaxis, low, 200.0)
        svg = finish(figure, "x", "title", "caption").svg
    shown = [text for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg) if text]
    assert "mathdefault" not in svg
    assert len([text for text in shown if float(text) > 1 or float(text) == low]) >= 2


def test_lines_to_paste_are_shown_as_text(
    evidence: Make, diagnosis: Callable[..., Diagnosis]
) -> None:
    helper = {"place": "train.py:41", "behind": "makes the model", "code": f"net(\n    {WICKED})"}
    whole = diagnosis()
    assert whole.fix is not None
    fix = whole.fix.model_dump() | {"patch": None, "helpers": [helper]}
    found = Elements(make_page(evidence(fix=fix)).html)
    assert "To paste behind train.py:41" in found.text
    assert "    </style></svg>" in found.text and "script" not in found.tags

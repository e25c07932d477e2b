"""The Markdown for MLflow: complete, harmless, and short enough."""

import re
from collections.abc import Callable

from agent.diagnosis import Diagnosis
from agent.markdown import escape, to_markdown

Make = Callable[..., Diagnosis]


def test_markdown_puts_the_verdict_first_and_shows_all_numbers(diagnosis: Make) -> None:
    text = to_markdown(diagnosis())
    assert text.splitlines()[2] == "**Fix**: swap-norm(to=instance) @ net.1 (0.168 → 0.97)"
    assert text.startswith("**FIXED**: train-eval-divergence")
    for said in ("| 1 | 0.164 | 0.971 |", "| refuted | inject-noise", "```diff\n---", "13.1 times"):
        assert said in text


def test_markdown_escapes_what_a_script_provides(nasty: Diagnosis) -> None:
    text = to_markdown(nasty)
    before_patch, patch = text.split("### Patch")
    verdict, rest = before_patch.replace("**Fix**: ", "", 1).split("\n", 1)
    assert verdict.startswith("**FIXED**: net\\[bold\\]x")
    unescaped = re.sub(r"\\[^\n]", "", rest)
    assert not re.search(r"[*_`<>\[\]&]", unescaped)
    tables = [line.count("|") for line in unescaped.splitlines() if "|" in line]
    assert tables == [6, 6, 6, 4, 4, 4, 4, 5, 5, 5]
    assert patch.strip().startswith("````diff")
    assert patch.strip().endswith("````")


def test_markdown_fits_the_field_of_mlflow(diagnosis: Make) -> None:
    tried = [diagnosis().tried[1].model_dump() | {"reason": "x" * 5000}] * 200
    whole = diagnosis(tried=tried, summary="y" * 9000)
    text = to_markdown(whole)
    assert len(text) <= 8000
    assert "How sure it is" in text and "What was not checked" in text
    assert len(to_markdown(whole, limit=50)) <= 50


def test_a_long_text_is_cut_in_markdown() -> None:
    assert escape("x" * 400) == "x" * 299 + "…"

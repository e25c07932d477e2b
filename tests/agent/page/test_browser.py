"""The page in a real browser: whole, quiet and alone, wide or narrow, light or dark."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.diagnosis import Diagnosis
from agent.ledger import Ledger
from agent.markdown import to_markdown
from agent.page import make_page
from agent.page.evidence import Evidence
from agent.request import Request
from agent.workload import Workload

from .chromium import BROWSER, Tab, browser_tab

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no browser: install Chromium (Debian: apt-get install chromium)"
)
Make = Callable[..., Evidence]
EVIL = '<script>alert("x")</script>' * 3 + "<img src=/stolen onerror=alert(1)>" + "y" * 5000
SEEN = """(() => {
  const style = element => getComputedStyle(element);
  const verdict = document.querySelector(".verdict");
  return {verdict: verdict.textContent, bottom: verdict.getBoundingClientRect().bottom,
    needs: document.documentElement.scrollWidth, background: style(document.body).backgroundColor,
    ink: style(document.querySelector("svg text")).fill,
    figures: [...document.querySelectorAll("svg")].map(f => f.getBoundingClientRect().width)};
})()"""
ACCENT = (11, 122, 117)  # of the light page


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with browser_tab() as tab:
        yield tab


@pytest.fixture
def pages(evidence: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of a diagnosis, and with one of hostile names."""
    folder = tmp_path_factory.getbasetemp() / "pages"
    if not folder.exists():
        folder.mkdir()
        (folder / "good.html").write_text(make_page(evidence()).html)
        (folder / "evil.html").write_text(make_page(evidence(evil=EVIL, places=3)).html)
    return folder


@pytest.mark.parametrize("name", ["good", "evil"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_readable_quiet_and_alone(
    tab: Tab, pages: Path, name: str, width: int, dark: bool
) -> None:
    look = open_page(tab, pages / f"{name}.html", width, dark)
    assert tab.console == []
    assert [address.rpartition("/")[2] for address in tab.requested] == [f"{name}.html"]
    assert look["verdict"] == "fixed"
    assert look["bottom"] < 200  # seen at once
    assert look["needs"] <= width
    assert all(300 < figure <= width for figure in look["figures"])
    assert (lightness(look["background"]) < 0.2) is dark
    assert (lightness(look["ink"]) > 0.5) is dark


def test_what_a_page_does_would_be_noticed(tab: Tab, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(
        "<p class=verdict></p><svg><text></text></svg><img src='http://127.0.0.1:9/stolen'>"
        "<script>console.error('I am heard')</script>"
    )
    open_page(tab, page, 400, dark=False)
    assert "http://127.0.0.1:9/stolen" in tab.requested
    assert any("I am heard" in line for line in tab.console)


def open_page(tab: Tab, page: Path, width: int, dark: bool) -> Any:
    """What is seen of a page."""
    tab.go("about:blank")
    tab.console.clear()
    tab.requested.clear()
    tab.look(width, dark)
    tab.go(page.as_uri())
    tab.wait_for("document.readyState == 'complete' && !!document.querySelector('.verdict')")
    return tab.value(SEEN)


@pytest.mark.long
def test_mlflow_shows_verdict_and_fix_and_renders_the_page(
    tab: Tab, evidence: Make, tmp_path: Path
) -> None:
    run = recorded(evidence(), tmp_path)
    with_store = ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db", "--workers", "1"]
    with serving(with_store) as address:
        at = f"{address}/#/experiments/{run.mlflow.experiment_id}/runs/{run.mlflow.run_id}"  # type: ignore[union-attr]
        tab.look(1400, dark=False)
        tab.go(f"{at}?workflowType=machine_learning")
        for said in ("FIXED: train-eval-divergence", "Fix: swap-norm(to=instance) @ net.1"):
            tab.wait_for(f"!!document.body && document.body.innerText.includes({said!r})")
        tab.go("about:blank")
        tab.go(f"{at}/artifacts/report/report.html?workflowType=machine_learning")
        tab.wait_for("!!document.querySelector('iframe[sandbox]')")
        end = time.monotonic() + 60
        while not has_colour(tab, tmp_path / "seen.png", ACCENT):
            assert time.monotonic() < end, "the page is not seen in MLflow"
            time.sleep(0.5)


def recorded(shown: Evidence, home: Path) -> Diagnosis:
    """The diagnosis in an MLflow store of its own, as the agent leaves it there."""
    ledger = Ledger(None, "agent", home)
    workload = Workload(script=Path("/project/train.py"), directory=Path("/project"))
    told = shown.diagnosis.model_copy(update={"mlflow": ledger.start(Request(workload=workload))})
    ledger.finish(told, to_markdown(told))
    ledger.close()
    return told


class serving:
    """MLflow's own server, while the context is open; gives its address."""

    def __init__(self, options: list[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        command = [sys.executable, "-m", "mlflow", "server", "--port", str(self._port), *options]
        environment = os.environ | {"MLFLOW_DISABLE_TELEMETRY": "true"}
        self._process = subprocess.Popen(
            [*command, "--host", "127.0.0.1"], env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def __enter__(self) -> str:
        address = f"http://127.0.0.1:{self._port}"
        end = time.monotonic() + 180
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urllib.request.urlopen(f"{address}/health", timeout=5):
                    return address
            except OSError:
                time.sleep(0.5)
        self.__exit__()
        raise AssertionError("MLflow's server does not start")

    def __exit__(self, *error: object) -> None:
        os.killpg(self._process.pid, 15)
        self._process.wait(timeout=30)


def has_colour(tab: Tab, file: Path, colour: tuple[int, int, int]) -> bool:
    """Whether something of this colour is seen."""
    from PIL import Image

    tab.picture(file)
    with Image.open(file) as image:
        counted = image.convert("RGB").getcolors(maxcolors=2**24) or []
    return any(found == colour and count > 500 for count, found in counted)


def lightness(colour: str) -> float:
    """From 0, black, to 1, white."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765

"""The page in a real browser: nothing asked for, nothing complained of, at every width and shade.

As in MLflow it lies in a frame. The frame's parent measures it and writes down what it saw.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from agent.page import make_page
from agent.page.evidence import Evidence

_NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
BROWSER = next(filter(None, map(shutil.which, _NAMES)), None)
WIDTHS = (1280, 400)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--enable-logging=stderr", "--window-size=1400,2000", "--virtual-time-budget=5000",
)  # fmt: skip
PARENT = """<!doctype html><link rel="icon" href="data:,"><body style="margin:0">
<pre id="seen"></pre><script>
const seen = [];
function look(frame, name, width) {
  const page = frame.contentDocument, style = frame.contentWindow.getComputedStyle(page.body);
  const verdict = page.querySelector(".verdict"), box = verdict.getBoundingClientRect();
  seen.push({name, width, background: style.backgroundColor, verdict: verdict.textContent,
    bottom: box.bottom, needs: page.documentElement.scrollWidth,
    ink: frame.contentWindow.getComputedStyle(page.querySelector("svg text")).fill,
    figures: [...page.querySelectorAll("svg")].map(f => f.getBoundingClientRect().width)});
  document.getElementById("seen").textContent = JSON.stringify(seen);
}
for (const [name, width] of LOADS) {
  const frame = document.createElement("iframe");
  frame.style = `width:${width}px;height:900px;border:0`;
  frame.onload = () => look(frame, name, width);
  frame.src = "/" + name;
  document.body.append(frame);
}
</script>"""

needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="no browser: install Chromium (Debian: apt-get install chromium)"
)


@pytest.fixture
def served(evidence: Callable[..., Evidence]) -> Iterator[tuple[str, list[str]]]:
    """The address of a server of pages, and what it was asked for."""
    evil = '<script>alert("x")</script>' * 3 + "<img src=/stolen onerror=alert(1)>" + "y" * 5000
    loads = json.dumps([(name, width) for name in ("good", "evil") for width in WIDTHS])
    pages = {
        "/": PARENT.replace("LOADS", loads),
        "/good": make_page(evidence()).html,
        "/evil": make_page(evidence(evil=evil, places=3)).html,
        "/alive": "<script src='/stolen.js'></script><script>console.error('I am heard')</script>",
    }
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(200 if self.path in pages else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages.get(self.path, "").encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def browse(address: str, dark: bool = False) -> tuple[str, list[str]]:
    """The document that a browser makes of an address, and what its console said."""
    assert BROWSER is not None
    shade = f"--blink-settings=preferredColorScheme={0 if dark else 1}"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run(
            [BROWSER, *FLAGS, shade, f"--user-data-dir={profile}", "--dump-dom", address],
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


@needs_browser
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_page_is_readable_quiet_and_alone(served: tuple[str, list[str]], dark: bool) -> None:
    address, asked = served
    document, console = browse(f"{address}/", dark)
    assert console == []
    assert sorted(set(asked)) == ["/", "/evil", "/good"]
    found = re.search(r'<pre id="seen">(.*?)</pre>', document, re.S)
    assert found, document[:2000]
    seen: list[dict[str, Any]] = json.loads(found[1])
    assert len(seen) == 4
    for look in seen:
        assert look["verdict"] == "fixed"
        assert look["bottom"] < 200  # seen at once
        assert look["needs"] <= look["width"]
        assert all(300 < width <= look["width"] for width in look["figures"])
        assert (lightness(look["background"]) < 0.2) is dark
        assert (lightness(look["ink"]) > 0.5) is dark


@needs_browser
def test_what_a_page_does_would_be_noticed(served: tuple[str, list[str]]) -> None:
    address, asked = served
    _, console = browse(f"{address}/alive")
    assert "/stolen.js" in asked
    assert any("I am heard" in line for line in console)


def lightness(colour: str) -> float:
    """From 0, black, to 1, white."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) / 765

"""Who is told of a finished diagnosis, and how."""

from __future__ import annotations

import http.server
import json
import sys
import threading
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.triage.findings import Finding
from agent.triage.notify import Notifier
from agent.triage.runs import Case, Run

EVIL = "$(touch pwned); `touch pwned` && touch pwned"


def finding() -> Finding:
    case = Case(Run("run-1", EVIL, "0", "FAILED", 0.0), "crashed", "boom")
    return Finding(case, "failed", EVIL, "rerun", "diagnosis-1", "7")


def test_a_command_gets_json_and_no_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret")
    told = tmp_path / "told"
    script = tmp_path / "tell.py"
    script.write_text(
        "import json, os, sys\n"
        "told = [sys.argv[1:], json.load(sys.stdin), dict(os.environ)]\n"
        f"json.dump(told, open({str(told)!r}, 'w'))"
    )
    notifier = Notifier(f"{sys.executable} {script} '$HOME' ; touch pwned")
    assert notifier.send(finding()) == ""
    arguments, data, environment = json.loads(told.read_text())
    assert arguments == ["$HOME", ";", "touch", "pwned"]
    assert data["run_name"] == EVIL and data["diagnosis_run_id"] == "diagnosis-1"
    assert "AWS_SECRET_ACCESS_KEY" not in environment
    assert not (tmp_path / "pwned").exists()


def test_an_address_gets_a_post() -> None:
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.handle_request, daemon=True).start()
    assert Notifier(f"http://127.0.0.1:{server.server_port}/hook").send(finding()) == ""
    server.server_close()
    assert got[0]["verdict"] == "failed"


def test_a_failure_is_told_and_ends_nothing() -> None:
    assert "--notify failed" in Notifier("false").send(finding())
    assert "--notify failed" in Notifier("http://127.0.0.1:9/").send(finding())


@pytest.mark.parametrize("target", ["", "no-such-command-at-all", "file:///etc/passwd", "'"])
def test_what_can_tell_nobody(target: str) -> None:
    with pytest.raises(UsageError, match="--notify"):
        Notifier(target)

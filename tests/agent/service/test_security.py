from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from agent.cli import main
from agent.errors import UsageError
from agent.service.app import create_app
from agent.service.security import Access, read_token
from tests.agent.service.conftest import Running

TOKEN = "0123456789abcdef"


def _client(running: Running, access: Access, base: str = "http://127.0.0.1") -> TestClient:
    app = create_app(running.service, access)
    return TestClient(app, base_url=base, raise_server_exceptions=False)


def test_without_the_token_there_is_no_answer(running: Running) -> None:
    client = _client(running, Access(TOKEN, "0.0.0.0"), "http://box:80")
    paths = ["/v1/jobs", "/v1/openapi.json", "/metrics", "/v1/jobs/" + 32 * "0", "/nothing"]
    for path in paths:
        for header in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            answer = client.get(path, headers=header)
            assert answer.status_code == 401, path
            assert answer.headers["www-authenticate"] == "Bearer"
            assert TOKEN not in answer.text
    assert client.post("/v1/jobs", json={"script": "train.py"}).status_code == 401
    odd = client.get("/v1/jobs", headers=[(b"Authorization", b"Bearer \xff\xfe")])
    assert odd.status_code == 401
    assert client.get("/healthz").status_code == 200
    with_token = {"Authorization": f"bearer {TOKEN}"}
    assert client.get("/v1/jobs", headers=with_token).status_code == 200


def test_a_web_page_cannot_reach_loopback(running: Running) -> None:
    client = _client(running, Access())
    # As by DNS rebinding, and by a form or script of another page.
    assert client.get("/v1/jobs", headers={"Host": "evil.example"}).status_code == 400
    for origin in ("http://evil.example", "null", "http://["):
        answer = client.post("/v1/triage", headers={"Origin": origin})
        assert answer.status_code == 403, origin
    assert client.get("/v1/jobs", headers={"Origin": "http://127.0.0.1"}).status_code == 200
    for host in ("localhost:8765", "127.0.0.1:1", "[::1]:8765"):
        assert client.get("/v1/jobs", headers={"Host": host}).status_code == 200


def test_who_asks_too_often_is_told_when_to_come_back(running: Running) -> None:
    now = [0.0]
    client = _client(running, Access(rate=2.0, clock=lambda: now[0]))
    answers = [client.get("/healthz").status_code for _ in range(5)]
    assert answers == [200, 200, 200, 200, 429]
    answer = client.get("/healthz")
    assert answer.status_code == 429 and answer.headers["retry-after"] == "1"
    now[0] += 0.6
    assert client.get("/healthz").status_code == 200


def test_what_is_too_large(running: Running) -> None:
    client = _client(running, Access())
    large = {"script": "train.py", "args": ["x" * 70_000]}
    assert client.post("/v1/jobs", json=large).status_code == 413

    def chunks() -> object:
        for _ in range(100):
            yield b"x" * 1000

    kind = {"Content-Type": "application/json"}
    answer = client.post("/v1/jobs", content=chunks(), headers=kind)  # type: ignore[arg-type]
    assert answer.status_code == 413
    assert client.get("/v1/jobs?state=" + "x" * 3000).status_code == 414


def test_the_token_is_read_from_a_file_or_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENT_TOKEN", raising=False)
    assert read_token(None) is None
    monkeypatch.setenv("AGENT_TOKEN", TOKEN)
    assert read_token(None) == TOKEN
    assert read_token(None) is None  # What is started later does not see it.
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    file.chmod(0o644)
    with pytest.raises(UsageError, match="chmod 600"):
        read_token(str(file))
    file.chmod(0o600)
    assert read_token(str(file)) == TOKEN
    file.write_text("short")
    with pytest.raises(UsageError, match="16"):
        read_token(str(file))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--host", "0.0.0.0"], "can be reached from outside"),
        (["--host", "::"], "can be reached from outside"),
        (["--host", "nosuch.example"], "can be reached from outside"),
        (["--token-file", "/no/such"], "cannot be read"),
        (["--root", "/no/such"], "--root /no/such is no folder"),
        (["--triage-every", "soon"], "no duration"),
        (["--triage-every", "1h", "--triage-cron", "@hourly"], "exclude each other"),
        (["--triage-options", "'"], "--triage-options"),
        (["--store", "nonsense"], "--store"),
        (["--keep", "x"], "no duration"),
    ],
)
def test_options_that_make_no_sense(
    arguments: list[str], told: str, complaint: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENT_TOKEN", raising=False)
    assert main(["serve", *arguments]) == 2
    assert told in complaint()

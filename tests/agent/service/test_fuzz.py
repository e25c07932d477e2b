"""What a program makes of the OpenAPI document: whatever it sends, it gets a clean answer."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable

from tests.agent.service.conftest import Running

schemathesis = pytest.importorskip("schemathesis")
# It would be imported, and each file of it parsed, in the midst of the test; where another thread
# parses as well, Python before 3.11.8 may raise a SystemError (python/cpython#106905).
pytest.importorskip("schemathesis.specs.openapi.schemas")

_EXAMPLES = int(os.environ.get("AGENT_TEST_EXAMPLES", "8"))


def _operations(running: Running) -> list[Any]:
    here = {"Host": "127.0.0.1"}
    app = running.client.app
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", app, headers=here)
    return [found.ok() for found in schema.get_all_operations()]


def test_no_answer_breaks(running: Running, root: Path) -> None:
    """No 5xx, no traceback, nothing that the document does not tell of, nothing of other files."""
    running.service.most = 10**6
    job = running.submit()
    running.work()
    checks = schemathesis.checks
    asked = []
    for operation in _operations(running):
        modes = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]
        for mode in modes:

            @given(case=operation.as_strategy(generation_mode=mode))
            @settings(
                max_examples=_EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            def ask(case: Any) -> None:
                if "job" in case.path_parameters and len(asked) % 2:
                    case.path_parameters["job"] = job  # One that is there.
                answer = case.call(headers={"Host": "127.0.0.1"})
                asked.append(answer.status_code)
                text = answer.text
                assert "Traceback" not in text and "not for you" not in text
                assert str(root.parent) not in text
                case.validate_response(
                    answer,
                    checks=(
                        checks.not_a_server_error,
                        checks.status_code_conformance,
                        checks.content_type_conformance,
                        checks.response_schema_conformance,
                    ),
                )

            with contextlib.suppress(Unsatisfiable):  # Nothing can be wrong where nothing is asked.
                ask()
    assert {200, 202, 404, 422} <= set(asked), "it has met too little"

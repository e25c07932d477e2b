import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from probes.trace import Trace

Trial = Callable[..., Trace]


@pytest.fixture
def trial(tmp_path: Path, run_script: Callable[..., Trace]) -> Trial:
    """Runs the text of a script in the process of a trial."""

    def trial(text: str, *args: str, files: dict[str, str] | None = None, **options: Any) -> Trace:
        project = tmp_path / "project"
        project.mkdir(exist_ok=True)
        for name, content in {"train.py": text, **(files or {})}.items():
            path = project / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(content))
        return run_script(project / "train.py", *args, **options)

    return trial

"""What is imported ahead of a trial is no garbage, and is looked through by no collection."""

from __future__ import annotations

import subprocess
import sys


def test_collections_go_on_and_leave_out_what_was_imported() -> None:
    code = "import agent.inside.preload, gc; print(gc.isenabled(), gc.get_freeze_count() > 100_000)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "True True\n"

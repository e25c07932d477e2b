from collections.abc import Callable
from pathlib import Path

import pytest

from probes.trace import Trace

Trial = Callable[..., Trace]
LARGE = "x" * 5000


@pytest.mark.parametrize(
    "text",
    [
        'open("big.pt", "wb").write(b"new")',
        'open("big.pt", "a").write("new")',
        'f = open("big.pt", "r+b"); f.write(b"new"); f.close()',
        'torch.save({"a": 1}, "big.pt")',
        'torch.save({"a": 1}, f=Path("big.pt").absolute())',
        'import numpy as np; np.memmap("big.pt", mode="r+", shape=(10,))[:] = 1',
        'import os; os.close(os.open("big.pt", os.O_WRONLY | os.O_TRUNC))',
        'import os; os.truncate("big.pt", 3)',
        'import os; os.remove("big.pt")',
        'import os; open("t", "w").write("new"); os.replace("t", "big.pt")',
        'import os; os.symlink("big.pt", "way"); open("way", "w").write("new")',
        'import shutil; open("t", "w").write("new"); shutil.copy("t", "big.pt")',
        'import os; os.chmod("big.pt", 0o600)',
    ],
)
def test_original_survives_a_write(trial: Trial, tmp_path: Path, text: str) -> None:
    head = "import torch\nfrom pathlib import Path\nassert Path('big.pt').is_symlink()\n"
    trace = trial(head + text, files={"big.pt": LARGE}, large=1000)
    assert trace.ending is not None
    assert trace.ending.status == "completed", trace.ending
    original = tmp_path / "project" / "big.pt"
    assert original.read_text() == LARGE
    assert original.stat().st_mode & 0o777 != 0o600


def test_appending_keeps_what_was_there(trial: Trial) -> None:
    text = 'open("big.pt", "a").write("new"); print(len(open("big.pt").read()))'
    trace = trial(text, files={"big.pt": LARGE}, large=1000)
    assert trace.ending is not None
    assert trace.ending.output_tail == "5003\n"


def test_reading_keeps_the_link(trial: Trial) -> None:
    text = 'import os; print(len(open("big.pt").read()), os.path.islink("big.pt"))'
    trace = trial(text, files={"big.pt": LARGE}, large=1000)
    assert trace.ending is not None
    assert trace.ending.output_tail == "5000 True\n"

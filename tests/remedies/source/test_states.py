"""A state is copied where it is taken."""

from __future__ import annotations

import pytest

from remedies.source.errors import Unwritable


def copied(rewrite, text: str, piece: str = "state_dict()") -> str:
    line = 1 + text[: text.index(piece)].count("\n")
    return rewrite(text, "R815", f"Net@train.py:{line}")


def test_the_bundled_script_becomes_the_healthy_one(rewrite, bundled) -> None:
    sick, healthy = bundled("aliased_state")
    assert copied(rewrite, sick, "model.state_dict()") == healthy


@pytest.mark.parametrize(
    ("head", "after", "function"),
    [
        ("import copy\nimport torch\n", "import copy\nimport torch\n", "copy.deepcopy"),
        ("from copy import deepcopy\n", "from copy import deepcopy\n", "deepcopy"),
        ("import copy as c\n", "import copy as c\n", "c.deepcopy"),
        ("import torch\n", "import copy\n\nimport torch\n", "copy.deepcopy"),
        (
            '"""A."""\n\nfrom __future__ import annotations\n\n# Ours.\nimport os\n\nimport m\n',
            '"""A."""\n\nfrom __future__ import annotations\n\n# Ours.\nimport copy\nimport os\n\n'
            "import m\n",
            "copy.deepcopy",
        ),
        (
            "import argparse\nimport os\nfrom pathlib import Path\n\nimport torch\n",
            "import argparse\nimport copy\nimport os\nfrom pathlib import Path\n\nimport torch\n",
            "copy.deepcopy",
        ),
        (
            "from pathlib import Path\n\nimport attention\nimport torch\n",
            "import copy\nfrom pathlib import Path\n\nimport attention\nimport torch\n",
            "copy.deepcopy",
        ),
    ],
)
def test_the_copy_is_imported_where_it_is_not(rewrite, head, after, function) -> None:
    text = f"{head}\nbest = net.model.state_dict()\n"
    assert copied(rewrite, text) == f"{after}\nbest = {function}(net.model.state_dict())\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            'best = {"epoch": e, "model": net.state_dict()}',
            'best = {"epoch": e, "model": copy.deepcopy(net.state_dict())}',
        ),
        (
            "best = {k: v.cpu() for k, v in net.state_dict().items()}",
            "best = {k: v.cpu() for k, v in copy.deepcopy(net.state_dict()).items()}",
        ),
    ],
)
def test_a_state_within_an_expression(rewrite, before, after) -> None:
    head = "import copy\nimport torch\n"
    assert copied(rewrite, f"{head}{before}\n") == f"{head}{after}\n"


@pytest.mark.parametrize(
    "text",
    [
        "import torch\nkept = net.state_dict(), optimizer.state_dict()\n",
        "import torch\ncopy = net.state_dict()\n",
        "kept = net.state_dict()\n",
    ],
)
def test_what_is_not_plain_is_not_written(rewrite, text) -> None:
    with pytest.raises(Unwritable):
        copied(rewrite, text)


def test_without_a_line_there_is_nothing_to_write(rewrite) -> None:
    with pytest.raises(Unwritable):
        rewrite("import torch\n", "R815", "Net")

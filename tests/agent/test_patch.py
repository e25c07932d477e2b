"""The patch of a treatment: what git and patch take, and what cannot be written."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from agent.confirm import Confirmation
from agent.findings import Findings
from agent.patch import Patch, helpers_of, patches_of, write_patch
from agent.request import Request
from agent.statistics import compare
from agent.workload import Outcome, TrialSpec, Workload
from probes.objective import Objective
from probes.trace import Event, Trace
from remedies import Action, Treatment, remedies

ROOT = Path(__file__).parents[2]
WORKLOADS = ROOT / "workloads"
TEXT = "from torch import nn\n\nmodel = nn.BatchNorm1d(8)  # a norm\nprint(model)\n"
Write = Callable[[str, str], Path]


def act(remedy: str, target: str, **params: str | float) -> Action:
    return Action(remedy=remedy, name=remedies[remedy].name, target=target, params=params)


def trace_of(script: Path, name: str | None = None) -> Trace:
    """What a run would tell about the norms of a script and the terms of the bundled one."""
    name = name or script.name
    events: list[Event] = [
        {"event": "term", "where": "mse", "source": f"{name}:102"},
        {"event": "term", "where": "info_nce", "source": f"{name}:66"},
    ]
    for line, text in enumerate(script.read_text().split("\n"), 1):
        if made := re.search(r"BatchNorm1d\((\d+)\)", text):
            events += [
                {
                    "event": "module",
                    "where": f"convs.{line}",
                    "type": "BatchNorm1d",
                    "source": f"{name}:{line}",
                    "parameters": 2 * int(made.group(1)),
                    "running_statistics": True,
                },
                {
                    "event": "signals",
                    "step": 1,
                    "phase": "train",
                    "rows": [[f"convs.{line}", "norm.positions", 30.0]],
                },
            ]
    return Trace.of(events)


def swap(trace: Trace, to: str = "instance") -> tuple[Action, ...]:
    return (act("R101", ",".join(trace.modules), to=to),)


def apply(diff: str, folder: Path, *command: str) -> None:
    done = subprocess.run(
        command or ("git", "apply", "--verbose"),
        cwd=folder,
        input=diff.encode(),
        capture_output=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def written(treatment: Treatment, trace: Trace, folder: Path, script: Path) -> str | None:
    """The diff; it belongs to the working directory, and nothing is pasted."""
    patch = write_patch(treatment, trace, folder, script)
    assert patch is None or (patch.directory, patch.pasted) == (folder.resolve(), False)
    return patch.text if patch else None


@pytest.fixture
def sick(tmp_path: Path) -> Callable[[str], Path]:
    """A copy of a bundled workload."""

    def copy(name: str) -> Path:
        script = tmp_path / "train.py"
        script.write_bytes((WORKLOADS / name / "sick.py").read_bytes())
        return script

    return copy


def body(text: str) -> str:
    """The statements of a script, without what is said about it at its top."""
    return ast.dump(ast.Module(ast.parse(text).body[1:], []))


@pytest.mark.parametrize("command", [(), ("patch", "-p1")], ids=["git", "patch"])
def test_swapping_the_norms_does_what_the_healthy_script_does(sick, tmp_path, command) -> None:
    script = sick("context_collapse")
    trace = trace_of(script)
    before = script.read_text()
    diff = written(swap(trace), trace, tmp_path, script)
    assert diff is not None
    assert len(re.findall("^[-+] ", diff, re.M)) == 6
    apply(diff, tmp_path, *command)
    after = script.read_text()
    assert body(after) == body((WORKLOADS / "context_collapse" / "healthy.py").read_text())
    assert after == re.sub(r"BatchNorm1d\((\d+)\)", r"InstanceNorm1d(\1, affine=True)", before)


@pytest.mark.parametrize(
    ("treatment", "line"),
    [
        ([act("R202", "info_nce")], "loss = 0.5 * mse"),
        ([act("R201", "info_nce", factor=0.0008)], "loss = 0.5 * mse + 0.0004 * info_nce"),
        ([act("R203", "mse", factor=5.0)], "loss = 2.5 * mse + 0.5 * info_nce"),
    ],
    ids=str,
)
def test_a_loss_is_put_together_anew(sick, tmp_path, treatment, line) -> None:
    script = sick("contrastive_dominance")
    before = script.read_text()
    diff = written(tuple(treatment), trace_of(script), tmp_path, script)
    assert diff is not None
    apply(diff, tmp_path)
    assert script.read_text() == before.replace("loss = 0.5 * mse + 0.5 * info_nce", line)


@pytest.mark.slow
def test_a_patched_script_works(sick, tmp_path) -> None:
    script = sick("contrastive_dominance")
    apply(written((act("R202", "info_nce"),), trace_of(script), tmp_path, script), tmp_path)
    arguments = ["--epochs", "1", "--train-documents", "128"]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True)
    assert done.returncode == 0 and "val_cosine=" in done.stdout, done.stderr


def test_actions_on_the_same_file_make_one_diff(sick, tmp_path) -> None:
    script = sick("contrastive_dominance")
    treatment = (act("R202", "info_nce"), act("R301", "", factor=0.1))
    diff = written(treatment, trace_of(script), tmp_path, script)
    assert diff is not None
    assert diff.count("--- ") == 1 and diff.count("@@ -") == 2
    assert "lr=0.1 * args.lr" in diff


def test_it_is_all_or_nothing(sick, tmp_path) -> None:
    script = sick("context_collapse")
    trace = trace_of(script)
    for other in (act("R401", "convs", strength=0.2), act("R202", "nothing")):
        assert written((*swap(trace), other), trace, tmp_path, script) is None
    assert written(swap(trace, "rms"), trace, tmp_path, script) is None
    assert written((), trace, tmp_path, script) is None


def test_several_files_and_folders(project: Path, write: Write) -> None:
    """Places are named from the script's folder; a patch is from the working directory."""
    script = write("jobs/train.py", "import models.net\nmodels.net.model.train()\n")
    net = write("jobs/models/net.py", TEXT)
    other = write("shared parts/norm.py", TEXT)
    trace = trace_of(net, "models/net.py")
    info = trace.modules["convs.3"]
    trace.modules["other"] = replace(info, where="other", source="shared parts/norm.py:3")
    treatment = (act("R101", "convs.3,other", to="layer"),)
    diff = written(treatment, trace, project, script)
    assert diff is not None
    assert "--- a/jobs/models/net.py\n" in diff
    for command in (("git", "apply"), ("git", "apply", "-R"), ("patch", "-p1")):
        apply(diff, project, *command)
    for file in (net, other):
        assert file.read_text() == TEXT.replace("BatchNorm1d(8)", "GroupNorm(1, 8)")


def test_a_folder_within_a_repository(project: Path, write: Write) -> None:
    script = write("sub/train.py", TEXT)
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    trace = trace_of(script)
    diff = written(swap(trace), trace, project / "sub", script)
    assert diff is not None
    apply(diff, project / "sub")
    assert "InstanceNorm1d" in script.read_text()


@pytest.mark.parametrize(
    "raw",
    [
        TEXT.replace("print(model)\n", "").rstrip("\n").encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("a norm", "ein Maß\x0cfür\u2028alles").encode(),
        TEXT.replace("    ", "\t").encode() + b"if model:\n\tpass\n",
    ],
    ids=["no last newline", "crlf", "odd characters", "tabs"],
)
def test_all_other_bytes_stay(project: Path, raw: bytes) -> None:
    script = project / "train.py"
    script.write_bytes(raw)
    trace = trace_of(script)
    diff = written(swap(trace), trace, project, script)
    assert diff is not None
    apply(diff, project)
    assert script.read_bytes() == raw.replace(b"BatchNorm1d(8)", b"InstanceNorm1d(8, affine=True)")


@pytest.mark.parametrize(
    "raw",
    [
        b"# coding: latin-1\n# \xe4\n" + TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.encode() + b"x = (\n",
        TEXT.encode() + b"\xe4",
    ],
    ids=["latin-1", "byte order mark", "no Python", "no UTF-8"],
)
def test_files_that_cannot_be_written_as_text(project: Path, raw: bytes) -> None:
    script = project / "train.py"
    script.write_text(TEXT)
    trace = trace_of(script)
    script.write_bytes(raw)
    assert written(swap(trace), trace, project, script) is None


def test_a_file_that_is_gone_elsewhere_or_in_two_places(project: Path, write: Write) -> None:
    script = write("jobs/train.py", TEXT)
    trace = trace_of(script)
    assert written(swap(trace), trace, project / "jobs", script) is not None
    write("train.py", TEXT)
    assert written(swap(trace), trace, project, script) is None
    (project / "train.py").unlink()
    script.unlink()
    assert written(swap(trace), trace, project, script) is None


def test_an_edit_in_the_meantime_is_not_overwritten(project: Path, write: Write) -> None:
    script = write("train.py", TEXT)
    trace = trace_of(script)
    script.write_text(f"# new\n{TEXT}")
    assert written(swap(trace), trace, project, script) is None


def test_nothing_heavy_is_imported_before_there_is_a_treatment() -> None:
    code = (
        "import sys, agent.cli, agent.conclusion; assert not {'libcst', 'torch'} & {*sys.modules}"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_a_fix_has_a_patch_or_none(project, write, monkeypatch) -> None:
    script = write("train.py", TEXT)
    trace = trace_of(script)
    objective = Objective(name="val_acc", mode="max")
    values = {0: 0.2, 1: 0.3, 2: 0.25}
    comparison = compare(objective, values, {seed: 0.9 for seed in values}, rivals=1)
    findings = Findings(
        baseline=Outcome(TrialSpec(number=0), trace),
        objective=objective,
        fix=Confirmation(swap(trace), (), comparison, ""),
    )
    request = Request(workload=Workload(script=script, directory=project))
    assert patches_of(findings, request) == [write_patch(swap(trace), trace, project, script)]
    assert patches_of(findings, request.model_copy(update={"patch": False})) == []
    assert patches_of(Findings(baseline=findings.baseline), request) == []
    assert helpers_of(findings, request) == ()
    monkeypatch.setattr("agent.patch.write_patch", lambda *_: 1 / 0)
    assert patches_of(findings, request) == []


def test_a_script_elsewhere_is_patched_in_its_own_folder(project: Path, write: Write) -> None:
    script = write("jobs/train.py", TEXT)
    (project / "data").mkdir()
    patch = write_patch(swap(trace_of(script)), trace_of(script), project / "data", script)
    assert patch is not None and patch.directory == script.parent
    assert "--- a/train.py\n" in patch.text
    apply(patch.text, script.parent)
    assert "InstanceNorm1d" in script.read_text()


def test_files_here_and_there_are_patched_from_above(project: Path, write: Write) -> None:
    script, shared = write("jobs/train.py", TEXT), write("data/norm.py", TEXT)
    trace = trace_of(script)
    info = replace(trace.modules["convs.3"], where="other", source="norm.py:3")
    trace.modules["other"] = info
    treatment = (act("R101", "convs.3,other", to="layer"),)
    patch = write_patch(treatment, trace, shared.parent, script)
    assert patch is not None and patch.directory == project.resolve()
    apply(patch.text, project, "patch", "-p1")
    assert "GroupNorm" in script.read_text() and "GroupNorm" in shared.read_text()


def test_what_has_no_place_in_the_code_is_pasted_as_a_helper(project: Path, write: Write) -> None:
    text = "import torch\nfrom torch import nn\n\nmodel = nn.LSTM(8, 8)\nprint(model)\n"
    script = write("train.py", text)
    trace = Trace.of(
        [
            {"event": "module", "where": "LSTM", "type": "LSTM", "source": "train.py:4"},
            {"event": "module", "where": "cell", "type": "LSTM", "source": "train.py:4"}
            | {"parent": "LSTM"},
        ]
    )
    treatment = (act("R104", "cell", kind="rms"),)
    patch = write_patch(treatment, trace, project, script)
    assert isinstance(patch, Patch) and patch.pasted
    apply(patch.text, project)
    hook = (
        'model.get_submodule("cell").register_forward_pre_hook(\n'
        "    lambda module, args: "
        "(nn.functional.rms_norm(args[0], args[0].shape[-1:]), *args[1:])\n)\n"
    )
    assert script.read_text() == text.replace("print(", f"{hook}print(")


def test_half_a_rewrite_is_taken_back_before_a_helper_is_pasted(
    project: Path, write: Write
) -> None:
    text = (
        "from torch import nn\n\nclass Net(nn.Module):\n    def __init__(self):\n"
        "        self.one = nn.Linear(4, 8)\n        self.two = nn.Linear(8, width())\n\n"
        "model = Net()\n"
    )
    script = write("train.py", text)
    layer = {"event": "module", "type": "Linear", "parent": "Net"}
    trace = Trace.of(
        [
            {"event": "module", "where": "Net", "type": "Net", "source": "train.py:8"},
            layer | {"where": "one", "source": "train.py:5"},
            layer | {"where": "two", "source": "train.py:6"},
        ]
    )
    patch = write_patch((act("R105", "one,two", kind="rms"),), trace, project, script)
    assert patch is not None and patch.pasted
    apply(patch.text, project)
    assert script.read_text().startswith(text)


def test_two_helpers_go_behind_the_same_line(project: Path, write: Write) -> None:
    text = "from torch import nn\n\n# the model\nmodel = Net()\n"
    script = write("train.py", text)
    root = {"event": "module", "where": "Net", "type": "Net", "source": "train.py:4"}
    trace = Trace.of([root, root | {"where": "cell", "type": "Cell", "parent": "Net"}])
    treatment = (act("R603", "cell"), act("R103", "cell", kind="rms"))
    trace.feed(
        {"event": "signals", "step": 1, "phase": "train", "rows": [["cell", "scale.alone", 1.0]]}
    )
    trace.modules["cell"] = replace(trace.modules["cell"], defined="train.py:9")
    patch = write_patch(treatment, trace, project, script, pasting=True)
    assert patch is not None
    apply(patch.text, project)
    after = script.read_text()
    assert after.startswith(text) and after.count("register_forward_hook") == 2
    assert after.index("output + args[0]") < after.index("rms_norm")


def test_a_helper_takes_no_name_that_the_script_uses(project: Path, write: Write) -> None:
    trace = Trace.of(
        [
            {"event": "module", "where": "Net", "type": "Net", "source": "train.py:2"},
            {"event": "loop", "where": "opt", "source": "train.py:3"},
        ]
    )
    treatment = (act("R306", "", steps=9.0),)
    text = "import torch\nnet = Net()\nopt = torch.optim.SGD(net.parameters(), lr=1)\n"
    script = write("train.py", text)
    assert write_patch(treatment, trace, project, script) is not None
    script.write_text(f"{text}warm_up = 4\n")
    assert write_patch(treatment, trace, project, script) is None


def test_where_it_is_not_clear_what_to_call_the_model_the_helper_is_for_a_person(
    project: Path, write: Write
) -> None:
    text = "from torch import nn\n\ndef build():\n    return nn.LSTM(8, 8)\n"
    script = write("train.py", text)
    trace = Trace.of([{"event": "module", "where": "LSTM", "type": "LSTM", "source": "train.py:4"}])
    treatment = (act("R603", "LSTM"),)
    assert write_patch(treatment, trace, project, script) is None
    comparison = compare(Objective(name="val_acc", mode="max"), {0: 0.2, 1: 0.3}, {0: 0.9, 1: 0.9})
    findings = Findings(
        baseline=Outcome(TrialSpec(number=0), trace),
        fix=Confirmation(treatment, (), comparison, ""),
    )
    (helper,) = helpers_of(findings, Request(workload=Workload(script=script, directory=project)))
    assert (helper.place, helper.behind) == ("train.py:4", "makes the model")
    assert helper.code.startswith("model.register_forward_hook(")

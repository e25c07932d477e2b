"""The command line: what is asked, what is answered, and how it ends."""

from __future__ import annotations

import json
import math
import os
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from agent.cli import Memory, cli, main
from agent.diagnosis import Diagnosis, Fix, WorkloadSummary
from agent.errors import InfrastructureError, UsageError, WorkloadError
from agent.progress import Listener, PartStarted
from agent.request import Request
from agent.workload import Limits
from probes import probes
from probes.symptom import Symptom
from remedies import remedies
from remedies.treatment import Action

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "ray", "mlflow", "optuna", "scipy", "pandas", "rich", "numpy")
SWAP = (Action(remedy="R101", name="swap-norm", target="net.1"),)
PATCH = "--- a/train.py\n+++ b/train.py\n@@ -1 +1 @@\n-old\n+new\n"


def a_diagnosis(verdict: str = "healthy", **changes: Any) -> Diagnosis:
    found = {"verdict": verdict, "workload": WorkloadSummary(script="train.py", steps=10)}
    return Diagnosis.model_validate(found | changes)


def a_fix(patch: str | None = PATCH) -> Fix:
    return Fix(
        treatment=SWAP,
        metric_before={1: 0.1},
        metric_after={1: 0.9},
        effect=0.8,
        ci=(0.7, 0.9),
        p_value=0.01,
        patch=patch,
    )


class FakeController:
    """Stands in for the controller: keeps the request, answers what it is told to."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answer: Diagnosis | BaseException = a_diagnosis()
        self.before: Callable[[], None] = lambda: None

    def diagnose(self, request: Request, listener: Listener) -> Diagnosis:
        self.requests.append(request)
        listener(PartStarted("observe"))
        self.before()
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer

    @property
    def request(self) -> Request:
        return self.requests[-1]


@pytest.fixture
def controller(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeController:
    fake = FakeController()
    module = types.ModuleType("agent.controller")
    module.diagnose = fake.diagnose  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "agent.controller", module)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    Path("train.py").write_text("print('loss=1')\n")
    return fake


def complaint(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr, with nothing on stdout."""
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("agent: ")]
    assert len(lines) == 1, captured.err
    return lines[0]


# --- what is asked ---


def test_without_options_the_request_has_its_own_defaults(controller: FakeController) -> None:
    assert main(["diagnose", "train.py"]) == 0
    here = Path.cwd()
    workload = {"script": here / "train.py", "directory": here}
    assert controller.request == Request.model_validate({"workload": workload})


def test_every_option_reaches_the_request(controller: FakeController) -> None:
    options = (
        "--metric val/loss:min --seeds 5 --seed-base 7 --budget 9.5 --timeout 30 --max-steps 100 "
        "--cpus 2 --gpus 0.5 --memory 2GB --only p101 --only swap-norm --skip R401 "
        "--try inject-noise --slots 3 --address ray://head:10001 --tracking-uri sqlite:///x.db "
        "--experiment mine --observe --resume abc123"
    )
    assert main(["diagnose", *options.split(), "train.py"]) == 0
    asked = controller.request
    limits = Limits(timeout=30, max_steps=100, cpus=2, gpus=0.5, memory=2 * 10**9)
    assert asked.workload.limits == limits
    assert (asked.metric, asked.mode) == ("val/loss", "min")
    assert (asked.seeds, asked.seed_base, asked.budget, asked.slots) == (5, 7, 9.5, 3)
    assert asked.only == ("P101", "R101")
    assert (asked.skip, asked.offer) == (("R401",), ("R401",))
    assert (asked.address, asked.tracking_uri) == ("ray://head:10001", "sqlite:///x.db")
    assert (asked.experiment, asked.observe, asked.resume) == ("mine", True, "abc123")


def test_what_follows_the_script_is_its_own(controller: FakeController) -> None:
    own = ["--seeds", "99", "-v", "--help", "--", "x", "--json", "-"]
    assert main(["diagnose", "--seeds", "4", "train.py", *own]) == 0
    assert controller.request.workload.args == tuple(own)
    assert controller.request.seeds == 4


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("acc", ("acc", None)),
        ("acc:max", ("acc", "max")),
        ("val:loss", ("val:loss", None)),
        ("val:loss:MIN", ("val:loss", "min")),
    ],
)
def test_metric(controller: FakeController, text: str, expected: tuple[str, str | None]) -> None:
    assert main(["diagnose", "--metric", text, "train.py"]) == 0
    assert (controller.request.metric, controller.request.mode) == expected


def test_the_tracking_uri_of_the_environment_is_passed_on(
    controller: FakeController, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://store:5000")
    assert main(["diagnose", "train.py"]) == 0
    assert controller.request.tracking_uri == "http://store:5000"
    assert main(["diagnose", "--tracking-uri", "sqlite:///x.db", "train.py"]) == 0
    assert controller.request.tracking_uri == "sqlite:///x.db"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1048576", 2**20),
        ("2GB", 2 * 10**9),
        ("512MiB", 512 * 2**20),
        ("1.5gib", 3 * 2**29),
        ("2g", 2**31),
        ("10 kB", 10_000),
        ("7B", 7),
    ],
)
def test_memory(text: str, size: int) -> None:
    assert Memory().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["", "GB", "2XB", "-1", "0", "1e9", "2ib", "nan"])
def test_memory_that_makes_no_sense(text: str) -> None:
    with pytest.raises(click.BadParameter):
        Memory().convert(text, None, None)


# --- what cannot be asked: one line on stderr, exit code 2, before anything heavy ---


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian.py"], "no such file: trian.py. Did you mean train.py?"),
        (["sub/train.py"], "no such file: sub/train.py (there is no folder sub)"),
        (["folder"], "folder is a folder: name the script in it, for example folder/inner.py"),
        (["broken.py"], "broken.py:2: invalid syntax: x = = 1"),
        (["binary.py"], "null bytes"),
        (["latin.py"], "latin.py:1: invalid or missing encoding declaration"),
        (["book.ipynb"], "jupyter nbconvert --to script book.ipynb"),
        (["--only", "P999x", "train.py"], "no such code or name: 'P999x'"),
        (["--skip", "swap-nrom", "train.py"], "Did you mean swap-norm?"),
        (["--try", "P101", "train.py"], "no such code or name: 'P101'. Did you mean R101?"),
        (["--metric", ":max", "train.py"], "--metric needs a name"),
        (["--seeds", "1", "train.py"], "'--seeds': 1 is not in the range"),
        (["--budget", "nan", "train.py"], "--budget: "),
        (["--timeout", "0", "train.py"], "'--timeout'"),
        (["--memory", "2XB", "train.py"], "write 2GB, 512MiB or a number of bytes"),
        (["--json", "no/such/file", "train.py"], "cannot write to no/such/file"),
        (["--patch", ".", "train.py"], "cannot write to ."),
        (["--sedes", "3", "train.py"], "See agent diagnose --help."),
        ([], "Missing argument 'SCRIPT'"),
    ],
)
def test_usage_errors(
    controller: FakeController,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    Path("broken.py").write_text("ok = 1\nx = = 1\n")
    Path("binary.py").write_bytes(b"x = 1\0\n")
    Path("latin.py").write_bytes(b"# caf\xe9\nx = 1\n")
    Path("book.ipynb").write_text("{}")
    Path("folder").mkdir()
    Path("folder/inner.py").write_text("")
    assert main(["diagnose", *arguments]) == 2
    assert said in complaint(capsys)
    assert controller.requests == []


def test_a_script_that_may_not_be_read(
    controller: FakeController, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert main(["diagnose", "train.py"]) == 2
    assert complaint(capsys) == "agent: cannot read train.py: Permission denied"


def test_control_characters_in_a_name_do_not_reach_the_terminal(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["diagnose", "\x1b[2Jevil\n.py"]) == 2
    assert complaint(capsys).startswith("agent: no such file: evil .py")


def test_warnings_of_the_script_are_not_ours(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("train.py").write_text("x = '\\d'\n")
    assert main(["diagnose", "--quiet", "train.py"]) == 0
    assert capsys.readouterr().err == ""


# --- how it ends ---


@pytest.mark.parametrize(
    ("verdict", "code"), [("healthy", 0), ("fixed", 1), ("unresolved", 1), ("failed", 3)]
)
def test_exit_code_of_each_verdict(controller: FakeController, verdict: str, code: int) -> None:
    controller.answer = a_diagnosis(verdict, fix=a_fix() if verdict == "fixed" else None)
    assert main(["diagnose", "train.py"]) == code


def test_a_failed_script_is_one_clear_line(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.answer = a_diagnosis("failed", error="ValueError: no\ndata (train.py:3)")
    assert main(["diagnose", "train.py"]) == 3
    assert complaint(capsys) == "agent: ValueError: no data (train.py:3)"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("unknown metric"), 2),
        (WorkloadError("trains nothing"), 3),
        (InfrastructureError("no Ray"), 4),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_one_line_with_their_exit_code(
    controller: FakeController,
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
) -> None:
    controller.answer = error
    assert main(["diagnose", "train.py"]) == code
    assert complaint(capsys) == f"agent: {str(error) or 'interrupted'}"


def test_a_bug_leaves_its_traceback_in_a_file(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.answer = ZeroDivisionError("oops")
    assert main(["diagnose", "train.py"]) == 4
    line = complaint(capsys)
    match = re.fullmatch(r"agent: unexpected ZeroDivisionError: oops \(see (.*)\)", line)
    assert match is not None
    log = Path(match[1])
    assert "Traceback" in log.read_text()
    log.unlink()


def test_a_bug_is_shown_at_once_if_verbose(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.answer = ZeroDivisionError("oops")
    assert main(["diagnose", "-v", "train.py"]) == 4
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert told.splitlines()[-1] == "agent: unexpected ZeroDivisionError: oops (see above)"


# --- what is answered ---


def test_progress_goes_to_stderr_and_the_answer_to_stdout(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["diagnose", "train.py"])
    captured = capsys.readouterr()
    assert captured.out.startswith("HEALTHY")
    assert " \n" not in captured.out
    assert "observe" in captured.err and "HEALTHY" not in captured.err


def test_json_on_stdout_is_all_there_is_on_stdout(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.before = lambda: print("noise of a library")
    assert main(["diagnose", "--json", "-", "train.py"]) == 0
    captured = capsys.readouterr()
    assert Diagnosis.model_validate_json(captured.out) == controller.answer
    assert "HEALTHY" in captured.err and "noise of a library" in captured.err


def test_json_on_stdout_withstands_other_processes(
    controller: FakeController, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    controller.before = lambda: print(os.system("echo noise of a child"))
    with open(os.dup(1), "w") as out, open(os.dup(2), "w") as err:
        os.dup2(out.fileno(), 1)
        monkeypatch.setattr(sys, "stdout", open(1, "w", closefd=False))
        monkeypatch.setattr(sys, "stderr", err)
        assert main(["diagnose", "--json", "-", "train.py"]) == 0
        print("back again", flush=True)
    captured = capfd.readouterr()
    document, _, rest = captured.out.rpartition("}\n")
    assert json.loads(document + "}")["verdict"] == "healthy"
    assert rest == "back again\n"
    assert "noise of a child" in captured.err


def test_json_file_and_patch_file(
    controller: FakeController, capsys: pytest.CaptureFixture[str]
) -> None:
    controller.answer = a_diagnosis("fixed", fix=a_fix())
    assert main(["diagnose", "--json", "out.json", "--patch", "fix.diff", "train.py"]) == 1
    assert Diagnosis.model_validate_json(Path("out.json").read_text()) == controller.answer
    assert Path("fix.diff").read_text() == PATCH
    assert capsys.readouterr().out.startswith("FIXED")


@pytest.mark.parametrize("fix", [None, a_fix(patch=None)])
def test_no_patch_is_said(
    controller: FakeController, capsys: pytest.CaptureFixture[str], fix: Fix | None
) -> None:
    controller.answer = a_diagnosis("fixed" if fix else "healthy", fix=fix)
    main(["diagnose", "--patch", "fix.diff", "train.py"])
    assert "agent: there is no patch to write to fix.diff" in capsys.readouterr().err
    assert not Path("fix.diff").exists()


def test_svg_file(controller: FakeController) -> None:
    assert main(["diagnose", "--svg", "picture.svg", "train.py"]) == 0
    assert "HEALTHY" in Path("picture.svg").read_text()


def test_json_of_odd_names_and_numbers(controller: FakeController) -> None:
    odd = WorkloadSummary(script="caf\udce9.py")
    fault = Symptom(
        code="P301", name="x", severity=1, where="", message="", evidence={"n": math.inf}
    )
    controller.answer = a_diagnosis(workload=odd, symptoms=(fault,))
    assert main(["diagnose", "--json", "out.json", "train.py"]) == 0
    text = Path("out.json").read_text()
    found = json.loads(text, parse_constant=pytest.fail)
    assert found["symptoms"][0]["evidence"] == {"n": None}


# --- list, explain, help ---


def test_list_names_every_unit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["code"] for row in rows] == [unit.code for unit in (*probes, *remedies)]
    assert main(["list"]) == 0
    text = capsys.readouterr().out
    for row in rows:
        assert re.search(rf"{row['code']}  {row['name']} +{re.escape(row['doc'])}", text)


@pytest.mark.parametrize("name", ["P101", "p101", "train-eval-divergence"])
def test_explain_takes_codes_and_names(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["explain", name]) == 0
    text = capsys.readouterr().out
    assert text.startswith("P101 train-eval-divergence\n")
    assert "What it detects:" in text and "R101 swap-norm" in text


def test_explain_suggests_what_was_meant(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "train-eval-divergense"]) == 2
    assert "Did you mean train-eval-divergence?" in complaint(capsys)


def test_a_broken_unit_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from probes.registry import Registry, RegistryError

    def broken(registry: Registry[Any]) -> None:
        raise RegistryError("two claim P101")

    monkeypatch.setattr(Registry, "_load", broken)
    assert main(["list"]) == 4
    assert complaint(capsys) == "agent: two claim P101"


def test_version_and_bare_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert re.fullmatch(r"agent \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert main([]) == 2
    assert "Usage: agent" in capsys.readouterr().err


def test_the_defaults_in_the_help_are_those_of_the_request() -> None:
    text = help_text()
    for option, model, name in (
        ("seeds", Request, "seeds"),
        ("seed-base", Request, "seed_base"),
        ("budget", Request, "budget"),
        ("experiment", Request, "experiment"),
        ("timeout", Limits, "timeout"),
        ("cpus", Limits, "cpus"),
        ("gpus", Limits, "gpus"),
    ):
        value = model.model_fields[name].default
        shown = f"{value:g}" if isinstance(value, float) else str(value)
        assert re.search(rf"--{option} [^\[]*\[default: {shown}\]", text), option


def test_every_option_of_the_readme_exists_and_the_other_way_round() -> None:
    table = (ROOT / "README.md").read_text().split("## Options")[1].split("\n## ")[0]
    written = set(re.findall(r"`(--[a-z-]+)", table))
    offered = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", help_text())) - {"--help"}
    assert written == offered
    everywhere = (ROOT / "README.md").read_text()
    for command in re.findall(r"agent diagnose ([^`\n]*)", everywhere):
        for option in re.findall(r"--[a-z-]+", command.partition(".py")[0]):
            assert option in offered, command


def help_text() -> str:
    command = cli.commands["diagnose"]
    return command.get_help(click.Context(command, terminal_width=10_000, max_content_width=10_000))


# --- speed ---


@pytest.mark.parametrize(
    "arguments", [["--help"], ["diagnose", "--help"], ["list"], ["explain", "P101"], ["--version"]]
)
def test_what_only_tells_something_imports_nothing_heavy(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom agent.cli import main\n"
        f"main({arguments!r})\nprint('LOADED', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.rpartition("LOADED")[2].split())
    assert "agent.cli" in loaded
    assert loaded.isdisjoint(HEAVY), loaded & set(HEAVY)


def test_a_usage_error_loads_nothing_heavy_and_the_module_runs() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "agent", "diagnose", "no-such-file.py"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "agent: no such file: no-such-file.py" in done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert imported.isdisjoint({"torch", "ray", "mlflow", "optuna", "scipy", "pandas"})


def test_a_terminal_that_cannot_show_our_characters_is_no_reason_to_fail() -> None:
    code = (
        "import sys; from agent.cli import _make_streams_safe\n"
        "_make_streams_safe(); print('0.1 → 0.9 é \\udce9')"
    )
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, env=environment)
    assert (done.returncode, done.stdout) == (0, b"0.1 > 0.9 ? ?\n")

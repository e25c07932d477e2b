"""The command line: `agent diagnose`, `agent list`, `agent explain`.

Nothing heavy is imported at the top: `agent --help` answers at once.
"""

from __future__ import annotations

import codecs
import contextlib
import difflib
import importlib.util
import inspect
import io
import json
import math
import os
import re
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agent.errors import AgentError, InfrastructureError, UsageError

if TYPE_CHECKING:
    from agent.diagnosis import Diagnosis
    from agent.request import Request
    from agent.view import Detail
    from probes import Probe
    from probes.registry import Registry
    from remedies import Remedy
    from remedies.space import Choice, Range

_INTERRUPTED = 130
_POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
_ASCII = {"→": ">", "…": "~", "─": "-", "│": "|"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Everything after ``agent``; those of the process when None.

    Returns:
        The exit code.
    """
    _make_streams_safe()
    try:
        return cli.main(arguments, prog_name="agent", standalone_mode=False) or 0
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return UsageError.exit_code
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" See {context.command_path} --help." if context else ""
        return _complain(f"{error.format_message()}{hint}", UsageError.exit_code)
    except AgentError as error:
        return _complain(error, error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        return _complain("interrupted", _INTERRUPTED)
    except Exception as error:
        return _complain_of_bug(error, verbose=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="debugging-agent", message="%(prog)s %(version)s")
def cli() -> None:
    """Find out why a PyTorch training script trains badly, and prove the fix."""


class Memory(click.ParamType[int]):
    """Bytes, or a number with a unit: ``2GB`` is decimal, ``512MiB`` and ``2G`` are binary."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """See click."""
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(i?b)?", str(value).strip().lower())
        if match is None or (match[3] == "ib" and not match[2]):
            self.fail(f"{value!r} is no size: write 2GB, 512MiB or a number of bytes.", param, ctx)
        size = int(float(match[1]) * (1000 if match[3] == "b" else 1024) ** _POWERS[match[2]])
        if size <= 0:
            self.fail(f"{value!r} is no memory at all.", param, ctx)
        return size


def _options(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(function: Any) -> Any:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


_positive = click.FloatRange(min=0, min_open=True)
_count = click.IntRange(1)
_what_to_do = _options(
    click.option(
        "--metric", metavar="NAME[:min|max]", help="Judge by this metric. [default: the likeliest]"
    ),
    click.option("--observe", is_flag=True, default=None, help="Look for symptoms; no trials."),
    click.option("--only", multiple=True, metavar="CODE", help="Use only these units. Repeatable."),
    click.option("--skip", multiple=True, metavar="CODE", help="Leave a unit out. Repeatable."),
    click.option(
        "--try", "offer", multiple=True, metavar="CODE", help="Give a remedy a trial. Repeatable."
    ),
)
_how_much = _options(
    click.option(
        "--seeds", metavar="N", type=click.IntRange(2, 50), help="Pairs that confirm. [default: 3]"
    ),
    click.option(
        "--seed-base", metavar="N", type=click.IntRange(0), help="First trial seed. [default: 0]"
    ),
    click.option(
        "--budget",
        metavar="X",
        type=_positive,
        help="What trials may cost, in untreated runs. [default: 24]",
    ),
)
_per_trial = _options(
    click.option(
        "--timeout", metavar="S", type=_positive, help="Seconds per trial. [default: 600]"
    ),
    click.option(
        "--max-steps", metavar="N", type=_count, help="Optimizer steps per trial at most."
    ),
    click.option("--cpus", metavar="N", type=_count, help="Cores per trial. [default: 1]"),
    click.option(
        "--gpus", metavar="X", type=click.FloatRange(0), help="GPUs per trial. [default: 0]"
    ),
    click.option("--memory", type=Memory(), help="Memory per trial at most: 2GB, 512MiB, bytes."),
)
_where = _options(
    click.option("--slots", metavar="N", type=_count, help="Trials at a time. [default: fitted]"),
    click.option("--address", metavar="URL", help="Ray cluster. [default: a local one]"),
    click.option(
        "--tracking-uri",
        metavar="URI",
        envvar="MLFLOW_TRACKING_URI",
        help="MLflow store. [default: $MLFLOW_TRACKING_URI, or a local one]",
    ),
    click.option("--experiment", metavar="NAME", help="MLflow experiment. [default: agent]"),
    click.option("--resume", metavar="RUN_ID", help="Go on with a diagnosis that broke off."),
)
_what_to_show = _options(
    click.option("--json", "json_file", metavar="FILE", help="Write the diagnosis; - is stdout."),
    click.option("--patch", "patch_file", metavar="FILE", help="Write the fix as a unified diff."),
    click.option("--svg", "svg_file", metavar="FILE", help="Write the answer as a picture."),
    click.option("-q", "--quiet", "detail", flag_value="quiet", help="Only the answer."),
    click.option("-v", "--verbose", "detail", flag_value="verbose", help="More progress lines."),
)


@cli.command("diagnose", context_settings={"allow_interspersed_args": False})
@_what_to_do
@_how_much
@_per_trial
@_where
@_what_to_show
@click.argument("script")
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT_ARGS]...")
def diagnose_command(
    script: str,
    args: tuple[str, ...],
    json_file: str | None,
    patch_file: str | None,
    svg_file: str | None,
    detail: Detail | None,
    **asked: Any,
) -> int:
    """Diagnose SCRIPT, which runs but trains badly. Everything after SCRIPT is its own.

    Exit codes: 0 healthy, 1 sick (fixed or not), 2 usage, 3 the script itself fails or never
    trains, 4 something that we stand on fails.
    """
    request = _request(script, args, asked)
    for file in (json_file, patch_file, svg_file):
        _check_target(file)
    with contextlib.ExitStack() as stack:
        write_json = None
        if json_file == "-":
            write_json = stack.enter_context(_stdout_for_json_only())
        try:
            diagnosis = _run(request, script, detail or "normal")
        except (AgentError, click.ClickException):
            raise
        except Exception as error:
            return _complain_of_bug(error, verbose=detail == "verbose")
        if write_json is not None:
            write_json(_to_json(diagnosis))
        elif json_file is not None:
            _write(json_file, _to_json(diagnosis))
        return _answer(diagnosis, patch_file, svg_file)


@cli.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_command(as_json: bool) -> None:
    """List all probes and remedies."""
    probes, remedies = _registries()
    rows = [
        {"kind": kind, "code": unit.code, "name": unit.name, "doc": _first_line(unit)}
        for kind, units in (("probe", probes), ("remedy", remedies))
        for unit in units
    ]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
        return
    width = max((len(row["name"]) for row in rows), default=0)
    for kind, title in (("probe", "Probes name the fault:"), ("remedy", "Remedies treat it:")):
        click.secho(title, bold=True)
        for row in rows:
            if row["kind"] == kind:
                click.echo(f"  {row['code']}  {row['name']:<{width}}  {row['doc']}")


@cli.command("explain")
@click.argument("unit", metavar="CODE|NAME")
def explain_command(unit: str) -> None:
    """Explain a probe or a remedy."""
    probes, remedies = _registries()
    found = _lookup(unit, probes, remedies)
    click.secho(f"{found.code} {found.name}", bold=True)
    for line in inspect.cleandoc(type(found).__doc__ or "").replace("``", "`").splitlines():
        click.secho(line, bold=bool(re.fullmatch(r"(#+ )?[A-Z][\w ]*:?", line)))
    click.echo()
    for line in _relations(found, remedies):
        click.echo(line)


# --- what is asked ---


def _request(script: str, args: tuple[str, ...], asked: dict[str, Any]) -> Request:
    path = check_script(script)
    asked = {name: value for name, value in asked.items() if value not in (None, ())}
    for name in ("only", "skip", "offer"):
        if name in asked:
            probes, remedies = _registries()
            allowed = (remedies,) if name == "offer" else (probes, remedies)
            asked[name] = tuple(_lookup(key, *allowed).code for key in asked[name])
    if "metric" in asked:
        asked["metric"], asked["mode"] = _metric(asked["metric"])
    from pydantic import ValidationError

    from agent.request import Request
    from agent.workload import Limits, Workload

    limits = {name: asked.pop(name) for name in Limits.model_fields if name in asked}
    try:
        workload = Workload(script=path, args=args, directory=Path.cwd(), limits=Limits(**limits))
        return Request(workload=workload, **asked)
    except ValidationError as error:
        first = error.errors()[0]
        option = str(first["loc"][-1]).replace("_", "-")
        raise UsageError(f"--{option}: {first['msg'].lower()}") from error


def check_script(script: str) -> Path:
    """The absolute path of a script that Python can at least read.

    Raises:
        UsageError: It cannot; the message says what to do.
    """
    path = Path(os.path.abspath(script))
    if path.is_dir():
        inside = sorted(file.name for file in path.glob("*.py"))
        example = f", for example {os.path.join(script, inside[0])}" if inside else ""
        raise UsageError(f"{script} is a folder: name the script in it{example}")
    if not path.exists():
        raise UsageError(f"no such file: {script}{_near_scripts(path, script)}")
    if path.suffix == ".ipynb":
        raise UsageError(f"{script} is a notebook: jupyter nbconvert --to script {script}")
    try:
        source = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {script}: {error.strerror or error}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            importlib.util.decode_source(source)  # Stricter about encodings, as a run is.
            compile(source, str(path), "exec", dont_inherit=True)
    except SyntaxError as error:
        text = f": {error.text.strip()}" if error.text else ""
        raise UsageError(f"{script}:{error.lineno or 1}: {error.msg}{text}") from error
    except ValueError as error:
        raise UsageError(f"{script} is no Python script: {error}") from error
    return path


def _near_scripts(path: Path, script: str) -> str:
    folder = os.path.dirname(script)
    if not path.parent.is_dir():
        return f" (there is no folder {folder})"
    names = sorted(file.name for file in path.parent.glob("*.py"))
    near = difflib.get_close_matches(path.name, names, n=1) or (names if len(names) == 1 else [])
    return f". Did you mean {os.path.join(folder, near[0])}?" if near else ""


def _metric(text: str) -> tuple[str, str | None]:
    name, colon, mode = text.rpartition(":")
    if not colon or mode.lower() not in ("min", "max"):
        name, mode = text, ""
    if not name.strip():
        raise UsageError("--metric needs a name: NAME, NAME:min or NAME:max")
    return name.strip(), mode.lower() or None


def _lookup(key: str, *registries: Registry[Any]) -> Any:
    from probes.registry import suggest

    for registry in registries:
        if key in registry:
            return registry[key]
    near = suggest(key, [known for registry in registries for known in registry.keys()])
    hint = near if near.startswith(".") else "; agent list shows what there is"
    raise UsageError(f"no such code or name: {key!r}{hint}")


# --- what is answered ---


def _run(request: Request, script: str, detail: Detail) -> Diagnosis:
    from agent.view import watching

    with watching(sys.stderr, script, request.budget, detail) as listener:
        from agent.controller import diagnose

        return diagnose(request, listener)


def _answer(diagnosis: Diagnosis, patch_file: str | None, svg_file: str | None) -> int:
    from agent.diagnosis import EXIT_CODES
    from agent.report import Report, ReportConsole, headline, save_picture, to_text

    if diagnosis.verdict == "failed":
        _complain(headline(diagnosis), 3)
    else:
        console = ReportConsole(sys.stdout)
        if console.is_terminal:
            console.print(Report(diagnosis))
        else:
            console.print(to_text(diagnosis, console.width), end="", soft_wrap=True)
    if svg_file is not None:
        save_picture(diagnosis, Path(svg_file))
    if patch_file is not None:
        if diagnosis.fix is not None and diagnosis.fix.patch:
            _write(patch_file, diagnosis.fix.patch)
        else:
            click.echo(f"agent: there is no patch to write to {patch_file}", err=True)
    return EXIT_CODES[diagnosis.verdict]


def _to_json(diagnosis: Diagnosis) -> str:
    # A file name that is not UTF-8 reaches us with lone surrogates, which only json can write.
    return json.dumps(_finite(diagnosis.model_dump(mode="json")), indent=2) + "\n"


def _finite(value: Any) -> Any:
    """The same value with null for what JSON has no number for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _check_target(file: str | None) -> None:
    if file in (None, "-"):
        return
    path = Path(str(file))
    if path.is_dir() or not path.parent.is_dir() or not os.access(path.parent, os.W_OK):
        raise UsageError(f"cannot write to {file}: name a file in a folder that you may write to")


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise InfrastructureError(f"cannot write {file}: {error.strerror or error}") from error


@contextlib.contextmanager
def _stdout_for_json_only() -> Iterator[Callable[[str], None]]:
    """Send whatever is written to stdout, by other processes too, to stderr; gives a writer."""
    real = sys.stdout
    real.flush()
    with contextlib.redirect_stdout(sys.stderr):
        try:
            descriptor, errors = real.fileno(), sys.stderr.fileno()
        except (OSError, ValueError):  # Not a real file: nobody else can write to it.
            yield lambda text: print(text, end="", file=real)
            return
        kept = os.dup(descriptor)
        os.dup2(errors, descriptor)
        try:
            yield lambda text: _write_all(kept, text.encode())
        finally:
            os.dup2(kept, descriptor)
            os.close(kept)


def _write_all(descriptor: int, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError):
        while data:
            data = data[os.write(descriptor, data) :]


# --- what went wrong ---


def _complain(message: object, code: int) -> int:
    from agent.report import plain

    click.echo(f"agent: {plain(message)}", err=True)
    return code


def _complain_of_bug(error: Exception, verbose: bool) -> int:
    told = "".join(traceback.format_exception(error))
    if verbose:
        click.echo(told, err=True, nl=False)
        where = "see above"
    else:
        with tempfile.NamedTemporaryFile(
            "w", prefix="agent-", suffix=".log", delete=False, encoding="utf-8", errors="replace"
        ) as file:
            file.write(told)
        where = f"see {file.name}"
    return _complain(f"unexpected {type(error).__name__}: {error} ({where})", AgentError.exit_code)


def _make_streams_safe() -> None:
    """Let no character of a script's names end the command, whatever the terminal can show."""

    def replace(error: UnicodeError) -> tuple[str, int]:
        assert isinstance(error, UnicodeEncodeError)
        bad = error.object[error.start : error.end]
        return "".join(_ASCII.get(char, "?") for char in bad), error.end

    codecs.register_error("agent.shown", replace)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="agent.shown")


# --- what there is ---


def _registries() -> tuple[Registry[Probe], Registry[Remedy]]:
    from probes import probes
    from probes.registry import RegistryError
    from remedies import remedies

    try:
        len(probes), len(remedies)
    except RegistryError as error:
        raise InfrastructureError(str(error)) from error
    return probes, remedies


def _first_line(unit: object) -> str:
    return (inspect.getdoc(type(unit)) or "").partition("\n")[0]


def _relations(unit: Probe | Remedy, remedies: Iterable[Remedy]) -> Iterator[str]:
    """What a docstring does not say: which probes and remedies belong together, the space."""
    from remedies.base import Remedy

    if not isinstance(unit, Remedy):
        yield f"Signals: {', '.join(unit.signals) or 'none'}"
        chances = [(remedy.treats.get(unit.code, 0.0), remedy) for remedy in remedies]
        chances.sort(key=lambda pair: -pair[0])
        names = [f"{remedy.code} {remedy.name}" for chance, remedy in chances if chance > 0]
        yield f"Remedies, likeliest first: {', '.join(names) or 'none'}"
        return
    yield f"Acts on: {unit.acts_on}"
    treated = sorted(unit.treats, key=lambda code: -unit.treats[code])
    yield f"Treats, likeliest first: {', '.join(treated)}"
    for name, dimension in unit.space.items():
        yield f"Parameter {name}: {_values(dimension)}"


def _values(dimension: Choice | Range) -> str:
    from remedies.space import Choice

    if isinstance(dimension, Choice):
        return " | ".join(map(str, dimension.options))
    scale = ", log scale" if dimension.log else ""
    return f"{dimension.low:g} to {dimension.high:g}{scale}, first {dimension.default:g}"

"""The command line: `agent diagnose` and its siblings, and how each of them ends.

Nothing heavy is imported at the top: `agent --help` answers at once.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import sys
import tempfile
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from agent.answer import give_answer, to_json, write_file
from agent.errors import AgentError, Interrupted, UsageError, WorkloadError
from agent.experience_command import experience_command
from agent.interrupts import make_interrupts_certain
from agent.mcp.command import mcp_command
from agent.options import (
    build_request,
    how_much,
    per_trial,
    what_to_do,
    what_to_show,
    where_to_run,
)
from agent.preflight import check_target
from agent.service.command import serve_command
from agent.stored import apply_command, report_command, review_command
from agent.streams import make_streams_safe, stdout_for_json_only
from agent.sync import sync_command
from agent.text import plain
from agent.triage.command import triage_command
from agent.units import explain_command, list_command

if TYPE_CHECKING:
    from agent.diagnosis import Diagnosis
    from agent.request import Request
    from agent.view import Detail

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Everything after ``agent``; those of the process when None.

    Returns:
        The exit code.
    """
    make_streams_safe()
    if arguments is None:  # Else a process ends by a search for garbage, which takes a second.
        atexit.register(gc.freeze)
        make_interrupts_certain()
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


cli.add_command(list_command)
cli.add_command(explain_command)
cli.add_command(report_command)
cli.add_command(review_command)
cli.add_command(apply_command)
cli.add_command(triage_command)
cli.add_command(mcp_command)
cli.add_command(serve_command)
cli.add_command(sync_command)
cli.add_command(experience_command)


@cli.command("diagnose", context_settings={"allow_interspersed_args": False})
@what_to_do
@how_much
@per_trial
@where_to_run
@what_to_show
@click.argument("script")
@click.argument("args", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT_ARGS]...")
def diagnose_command(
    script: str,
    args: tuple[str, ...],
    json_file: str | None,
    patch_file: str | None,
    svg_file: str | None,
    observations: bool,
    detail: Detail | None,
    **asked: Any,
) -> int:
    """Diagnose SCRIPT, which runs but trains badly. Everything after SCRIPT is its own.

    Exit codes: 0 healthy, 1 sick (fixed or not), 2 usage, 3 the script itself fails or never
    trains, 4 something that we stand on fails.
    """
    request = build_request(script, args, asked)
    for file in (json_file, patch_file, svg_file):
        check_target(file)
    with contextlib.ExitStack() as stack:
        write_json = None
        if json_file == "-":
            write_json = stack.enter_context(stdout_for_json_only())
        try:
            diagnosis = _run(request, script, detail or "normal")
        except Interrupted as interrupted:
            return _tell_interrupted(interrupted)
        except (AgentError, click.ClickException):
            raise
        except Exception as error:
            return _complain_of_bug(error, verbose=detail == "verbose")
        if write_json is not None:
            write_json(to_json(diagnosis))
        elif json_file is not None:
            write_file(json_file, to_json(diagnosis))
        shown = observations or detail == "verbose"
        code = give_answer(diagnosis, patch_file, svg_file, shown)
        if code == WorkloadError.exit_code and (misplaced := _own_options(args)):
            named = ", ".join(misplaced)
            _complain(f"options of ours stand before SCRIPT; it was given {named}", code)
        return code


def _own_options(args: tuple[str, ...]) -> list[str]:
    """Those of the script's arguments that are called like options of the command."""
    ours = {name for option in diagnose_command.params for name in option.opts if name[0] == "-"}
    return [arg for arg in args if arg.partition("=")[0] in ours]


def _run(request: Request, script: str, detail: Detail) -> Diagnosis:
    from agent.view import watching

    with watching(sys.stderr, script, request.budget, detail, not _talks(request)) as listener:
        from agent.controller import diagnose

        return diagnose(request, listener)


def _talks(request: Request) -> bool:
    """Whether the policy speaks with the user, who then needs a terminal that stands still."""
    from agent.policies import policies

    return policies[request.policy].talks


def _tell_interrupted(interrupted: Interrupted) -> int:
    if interrupted.so_far is not None:
        give_answer(interrupted.so_far, None, None)
    again = f"; to go on: --resume {interrupted.run_id}" if interrupted.run_id else ""
    return _complain(f"interrupted{again}", _INTERRUPTED)


def _complain(message: object, code: int) -> int:
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

"""Writes the fix as a patch, and offers the first one that recovers as the treatment does."""

from __future__ import annotations

import os

from agent.findings import Findings
from agent.identity import identity
from agent.launch import Launcher
from agent.ledger import Ledger
from agent.patch import helpers_of, patches_of
from agent.request import Request
from agent.snapshot import Snapshot
from agent.verify_patch import PatchVerifier
from agent.workload import Outcome, TrialSpec


def offer_patch(
    findings: Findings,
    request: Request,
    snapshot: Snapshot,
    launcher: Launcher,
    ledger: Ledger,
    ran: int,
) -> list[Outcome]:
    """Put patches of the confirmed fix to the test, and note the first that passes.

    Where none could even be written, what can be pasted by hand is noted instead.

    Args:
        findings: Has the fix; takes the patch and what came of running it, or the helpers.
        request: What was asked for.
        snapshot: The user's files as they were diagnosed.
        launcher: Runs scripts.
        ledger: Has what the same patched scripts did earlier, and takes what they do now.
        ran: Number of trials so far.

    Returns:
        What the patched scripts did.
    """
    if findings.fix is None:
        return []
    patches = patches_of(findings, request)
    outcomes: list[Outcome] = []
    stop = findings.prefix.steps if findings.prefix else None

    def recall(changed: Snapshot, spec: TrialSpec) -> Outcome | None:
        return ledger.recall(spec, identity(request.workload, changed, request.address))

    def record(changed: Snapshot, outcome: Outcome) -> None:
        outcomes.append(outcome)
        ledger.record_patched(outcome, identity(request.workload, changed, request.address))

    for patch in patches:
        number = ran + len(outcomes)
        verifier = PatchVerifier(snapshot, launcher.over, number, stop, recall, record)
        folder = os.path.relpath(patch.directory, request.workload.directory.resolve())
        findings.patch_check = verifier.verify(patch.text, findings.fix, folder)
        if findings.patch_check.passed:
            findings.patch = patch
            return outcomes
    if not any(patch.pasted for patch in patches):
        findings.helpers = helpers_of(findings, request)
    return outcomes

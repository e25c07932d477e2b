"""What a user asks of a diagnosis: the options of `agent diagnose`, validated."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from agent.workload import Workload
from probes.objective import Mode


class Terms(BaseModel):
    """What may be asked of a debugging session, by whoever asks for it.

    Attributes:
        metric: Name of the metric; None to infer it.
        mode: Whether it is to rise or to fall; None to infer it from the name.
        seeds: Paired seeds that confirm a fix.
        seed_base: Seed of the observation and of the search; confirmation uses those after it.
        budget: What may be spent on trials, in runs of the untreated script.
        time_budget: Seconds that the diagnosis may take; a longer one is made on a prefix.
        observe: Only observe: no trials.
        only: Codes or names of the probes and remedies to use; empty: all.
        skip: Codes or names of the probes and remedies to leave out.
        offer: Codes or names of remedies that must get a trial (``--try``), whatever was found.
        patch: Whether a fix is written as a patch, and the patched script run.
        policy: Name of the policy that chooses what to try.
        experience: Whether earlier diagnoses of the experiment count as evidence.
        fresh: Whether trials that an earlier diagnosis has run are run again.
        good: Arguments of the script with which it trained well.
        good_run: MLflow run whose logged parameters are settings with which it trained well.
    """

    model_config = ConfigDict(frozen=True)

    metric: str | None = None
    mode: Mode | None = None
    seeds: int = Field(default=3, ge=2, le=50)
    seed_base: int = Field(default=0, ge=0)
    budget: float = Field(default=24.0, gt=0)
    time_budget: float = Field(default=3600.0, gt=0)
    observe: bool = False
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    offer: tuple[str, ...] = ()
    patch: bool = True
    policy: str = "ranked"
    experience: bool = True
    fresh: bool = False
    good: tuple[str, ...] | None = None
    good_run: str | None = None


class Request(Terms):
    """One debugging session, as it was asked for, and where it runs.

    Attributes:
        workload: What to run.
        slots: Trials at a time; None: as many as the cores allow.
        address: Ray cluster to run on; None for a local one of our own.
        tracking_uri: MLflow store; None for SQLite in the agent's home.
        storage: Database of the searches, as Optuna takes it; None for a file in the agent's home.
        experiment: MLflow experiment.
        resume: MLflow run of a diagnosis that broke off.
        subject: MLflow run that the diagnosis is about, as triage notes it.
        job: Job of a service that the diagnosis is made for.
    """

    workload: Workload
    slots: int | None = Field(default=None, ge=1)
    address: str | None = None
    tracking_uri: str | None = None
    storage: str | None = None
    experiment: str = "agent"
    resume: str | None = None
    subject: str | None = None
    job: str | None = None

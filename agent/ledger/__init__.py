"""The record of diagnoses in MLflow: one run for each, and a nested run for each trial.

MLflow is imported here and in `agent.triage.tracking` only, and never before it is needed: that
takes two seconds, and the first use of a store three more.
"""

from agent.ledger.ledger import Ledger

__all__ = ["Ledger"]

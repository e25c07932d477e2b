"""Targets that the symptoms name."""

from __future__ import annotations

from collections.abc import Iterable

from probes.symptom import Symptom
from probes.trace import Trace


def named(symptoms: Iterable[Symptom], trace: Trace) -> list[str]:
    """The modules, loss terms and lines that symptoms name, where the run knows them; each once."""
    known = {*trace.modules, *trace.terms, *(where for _, where, _ in trace.signals)}
    return list(dict.fromkeys(s.where for s in symptoms if s.where in known))

"""What the remedies work with in the process of a trial: the living program and stand-in parts."""

from remedies.surgery.program import Program

__all__ = ["Program"]

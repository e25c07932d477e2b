"""What the actions and observations of each version of the environment mean.

The place of a code in these lists is what an agent has learned: it never changes within a version.
A new probe or remedy makes a new version, with its code at the end.
"""

from __future__ import annotations

from dataclasses import dataclass

from probes import probes
from remedies import remedies


@dataclass(frozen=True)
class Catalogue:
    """The codes of one version, in the order of its actions and observations."""

    probes: tuple[str, ...]
    remedies: tuple[str, ...]


def bundled() -> Catalogue:
    """The codes of all units that are ours; those of other packages are no part of a version."""
    return Catalogue(
        probes=tuple(p.code for p in probes if type(p).__module__.startswith("probes.")),
        remedies=tuple(r.code for r in remedies if type(r).__module__.startswith("remedies.")),
    )


def _codes(written: str) -> tuple[str, ...]:
    return tuple(written.split())


_FIRST = Catalogue(
    probes=_codes("""
        P101 P102 P103 P201 P202 P203 P204 P205 P206 P301 P302 P303 P304 P305 P306
        P307 P308 P309 P351 P352 P401 P402 P501 P502 P601 P602 P603 P701 P702 P703
        P704 P801 P802 P803 P804 P805 P806 P807 P808 P809 P810 P811 P812 P901 P902
        P903 P904 P905 P906 P907
    """),
    remedies=_codes("""
        R101 R102 R103 R104 R105 R201 R202 R203 R204 R205 R206 R207 R301 R302 R303
        R304 R305 R306 R307 R308 R309 R310 R311 R312 R313 R401 R402 R501 R502 R503
        R504 R601 R602 R603 R604 R605 R606 R701 R801 R802 R803 R804 R805 R806 R807
        R808 R810 R811 R812 R901 R902 R903 R907
    """),
)

_SECOND = Catalogue((*_FIRST.probes, "P310"), _FIRST.remedies)
_THIRD = Catalogue(
    (*_SECOND.probes, "P311", "P705", "P813"),
    (*_SECOND.remedies, "R314", "R607", "R705", "R813"),
)

_FOURTH = Catalogue(
    (*_THIRD.probes, "P313", "P814", "P815"),
    (*_THIRD.remedies, "R315", "R815"),
)

_FIFTH = Catalogue(
    (*_FOURTH.probes, "P816", "P817", "P908"),
    (*_FOURTH.remedies, "R608", "R816", "R817", "R908"),
)

_SIXTH = Catalogue(
    (*_FIFTH.probes, "P604", "P706", "P909", "P910"),
    (*_FIFTH.remedies, "R505", "R904", "R909", "R910"),
)

VERSIONS = dict(enumerate((_FIRST, _SECOND, _THIRD, _FOURTH, _FIFTH, _SIXTH)))

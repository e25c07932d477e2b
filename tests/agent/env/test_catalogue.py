"""A version of the environment never changes its meaning."""

from __future__ import annotations

from itertools import pairwise

import pytest

from agent.env.catalogue import VERSIONS, bundled

NEWEST = max(VERSIONS)


def test_the_newest_version_has_all_units() -> None:
    """A new unit needs a new version, with its code at the end: what was learned stays true."""
    found = VERSIONS[NEWEST]
    assert set(found.probes) == set(bundled().probes)
    assert set(found.remedies) == set(bundled().remedies)


def test_a_version_begins_with_the_one_before() -> None:
    for before, after in pairwise(VERSIONS[version] for version in sorted(VERSIONS)):
        assert after.probes[: len(before.probes)] == before.probes
        assert after.remedies[: len(before.remedies)] == before.remedies


@pytest.mark.parametrize("version", VERSIONS)
def test_no_code_has_two_places(version: int) -> None:
    for codes in (VERSIONS[version].probes, VERSIONS[version].remedies):
        assert len(set(codes)) == len(codes)

"""A few of the attacks, and some random requests. All of them: ``python -m tests.attacks --fuzz 1800``."""

from __future__ import annotations

import pytest

from tests.attacks import fuzz, grpc, rest
from tests.attacks.measure import MOST_MEMORY_BYTES, Attack, measure


@pytest.mark.parametrize("attack", [rest.gzip_of_empty_lists, grpc.deep_groups])
def test_an_attack_costs_the_attacker_alone(attack: Attack) -> None:
    result = measure(attack, grpc=attack in grpc.ATTACKS)
    assert result.alive
    assert result.answers
    assert not result.failures
    assert result.peak_bytes < MOST_MEMORY_BYTES


def test_random_requests_cause_no_internal_error() -> None:
    problems: list[str] = []
    assert fuzz.run(0, start=1, show=problems.append), problems

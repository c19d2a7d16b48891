"""Attacks on the REST API."""

from __future__ import annotations

from tests.attacks.measure import Attack

ATTACKS: list[Attack] = []

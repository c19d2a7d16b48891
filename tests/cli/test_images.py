from __future__ import annotations

import pytest

from tests.program import Program, assert_error


def test_without_docker(tfserve: Program) -> None:
    assert_error(tfserve("images"), 4, "No Docker Engine answers at unix://")


@pytest.mark.parametrize("remote", [(), ("--remote",)])
def test_invalid_repository(tfserve: Program, remote: tuple[str, ...]) -> None:
    assert_error(tfserve("images", "Not An Image", *remote), 2, "is not the name of an image")


def test_registry_needs_no_docker(tfserve: Program) -> None:
    assert_error(tfserve("images", "--remote", "127.0.0.1:9/me/m"), 5, "127.0.0.1:9 does not respond")

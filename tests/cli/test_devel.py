from __future__ import annotations

import pytest

from tests.program import Program, assert_error


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "A shell needs a terminal"),
        (["--source", "nowhere", "--", "ls"], 2, "'nowhere' is not a directory"),
        (["--tag", "a b", "--", "ls"], 2, "is not a tag"),
        (["--grpc-port", "x", "--", "ls"], 2, "'x' is not a port"),
        (["--platform", "arm", "--", "ls"], 2, "is not a platform"),
        (["--no-gpu", "--", "ls"], 4, "No Docker Engine answers at unix://"),
        (["--", "ls"], 4, "No Docker Engine answers at unix://"),
    ],
)
def test_bad_input(arguments: list[str], code: int, words: str, tfserve: Program) -> None:
    assert_error(tfserve("devel", *arguments), code, words)

from __future__ import annotations

import pytest

from tests.program import Program, assert_error


@pytest.mark.parametrize("arguments", [[], ["--json"], ["my/serving", "--tag", "1"]])
def test_without_docker(tfserve: Program, arguments: list[str]) -> None:
    done = tfserve("pull", *arguments)
    assert_error(done, 4, "No Docker Engine answers at unix://", "docs.docker.com")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["Not An Image"], "'Not An Image' is not the name of an image"),
        (["--tag", "a b"], "'a b' is not a tag"),
        (["a:1", "--tag", "2"], "Leave --tag out, or give the image without a tag"),
        (["--platform", "arm"], "'arm' is not a platform"),
    ],
)
def test_bad_names(tfserve: Program, arguments: list[str], words: str) -> None:
    assert_error(tfserve("pull", *arguments), 2, words)

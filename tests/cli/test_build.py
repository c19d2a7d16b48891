from __future__ import annotations

from pathlib import Path

import pytest

from tests.program import Program, assert_error

SOURCES = Path(__file__).parents[1] / "e2e" / "serving_sources"


@pytest.mark.parametrize(
    ("source", "options", "code", "words"),
    [
        ("nowhere", [], 4, "No Docker Engine answers"),
        (".", ["--ram", "1"], 2, "1 MB"),
        (".", ["--build-option", "opt"], 2, "'opt' is not an option of Bazel"),
        (".", ["--image", f"m:{'1' * 125}"], 2, "at most 122 characters"),
        (".", ["--image", "A B"], 2, "is not the name of an image"),
    ],
)
def test_bad_input(source: str, options: list[str], code: int, words: str, tfserve: Program) -> None:
    assert_error(tfserve("build", "--source", source, "--image", "me/m:1", *options), code, words)


@pytest.mark.parametrize("missing", ["--source", "--image"])
def test_required_options(missing: str, tfserve: Program) -> None:
    given = {"--source": ".", "--image": "me/m:1"}
    del given[missing]
    done = tfserve("build", *(word for pair in given.items() for word in pair))
    assert done.returncode == 2
    assert missing in done.stderr

from __future__ import annotations

import pytest

from tests.program import Copy, Program, assert_error

IMAGE = ("--image", "me/m:1")


def test_without_docker(tfserve: Program, copied: Copy) -> None:
    assert_error(tfserve("package", copied("m"), *IMAGE), 4, "No Docker Engine answers at unix://")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["a/m", "b/m", *IMAGE], 2, "Two models are named 'm'"),
        (["a/m", "b/m", *IMAGE, "--name", "x"], 2, "each of the 2 models, found 1"),
        (["a/m", *IMAGE, "--name", "a b"], 2, "for example --name a_b"),
        (["a/m", *IMAGE, "--label", "x"], 2, "'x' is not a label"),
        (["a/m", "--image", "Not An Image"], 2, "is not the name of an image"),
        (["a/m", "--image", f"{'m' * 300}:1"], 2, "at most 255 characters"),
        (["a/m", "--image", "sha256:1"], 2, "looks like a digest"),
        (["a/m", *IMAGE, "--base", "me/m:1"], 2, "is also the base image"),
        (["nowhere", *IMAGE], 3, "There is no model at 'nowhere'"),
    ],
)
def test_bad_input(
    arguments: list[str], code: int, words: str, tfserve: Program, copied: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copied("a/m").parents[1])
    copied("b/m")
    assert_error(tfserve("package", *arguments), code, words)


def test_image_is_required(tfserve: Program, copied: Copy) -> None:
    done = tfserve("package", copied("m"))
    assert done.returncode == 2
    assert "--image" in done.stderr

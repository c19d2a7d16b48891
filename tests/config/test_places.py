"""Which field of a file says what a complaint is about, and in which words."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.test_fields import options_of_run
from tfserve.config.document import read_document
from tfserve.config.places import WORDS, ServerPlace

TEXT = """
defaults: {env: {A: 1, B: 1}, rm: true, wait: 3}
server:
  models:
    - {path: m, labels: {x: 1}}
    - n
  <<: {cpus: 1}
  env: {B: 2}
  wait: 2
"""


@pytest.mark.parametrize(
    ("about", "path", "line"),
    [
        ((), "server", 4),
        (("models", 0, "labels", "x"), "server.models[0].labels.x", 5),
        (("models", 0, "versions"), "server.models[0]", 5),
        (("models", 1, "path"), "server.models[1]", 6),
        (("models", 9), "server.models", 5),
        (("cpus",), "server.cpus", 7),
        (("environment", "B"), "server.env.B", 8),
        (("environment", "A"), "defaults.env.A", 2),
        (("environment", "C"), "server.env", 8),
        (("remove",), "defaults.rm", 2),
        (("wait_seconds",), "server.wait", 9),
        (("memory",), "server", 4),
    ],
)
def test_the_field_of_an_attribute(about: tuple[str | int, ...], path: str, line: int, tmp_path: Path) -> None:
    file = tmp_path / "file.yaml"
    file.write_text(TEXT)
    parts = read_document(file, {}).fields("parts")
    found = ServerPlace(parts["server"], parts["defaults"].fields("defaults")).at(about)
    assert (found.path, found.line) == (path, line)


def test_words(tmp_path: Path) -> None:
    assert {word for word in WORDS if not word.startswith("--no-")} < options_of_run()
    (tmp_path / "file.yaml").write_text("a: 1")
    said = read_document(tmp_path / "file.yaml", {}, WORDS).document.reworded
    assert said("--no-gpu and --gpus, or --rest-port.") == "gpu: false and gpus, or rest_port."
    assert said("--enable_batching, --gpus-all, a--gpu, ---gpu") == "--enable_batching, --gpus-all, a--gpu, ---gpu"

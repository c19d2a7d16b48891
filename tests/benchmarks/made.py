"""What benchmarks need and takes long to make, kept from one run to the next: models, an environment with BentoML."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cached import made_by_script, virtual_environment

_BENTOML = "bentoml>=1.4,<1.5"


def models() -> Path:
    """Returns the directory that ``make_models.py`` filled."""
    return made_by_script(Path(__file__).with_name("make_models.py"))


def conv_models() -> Path:
    """Returns the directory that ``make_conv_model.py`` filled."""
    return made_by_script(Path(__file__).with_name("make_conv_model.py"))


def bentoml() -> Path:
    """Returns the directory of an environment with BentoML; making it, once, takes a minute."""
    return virtual_environment((_BENTOML,))


@contextmanager
def temporary(content: bytes | str) -> Iterator[Path]:
    """Gives a file with `content` in it, for the length of a ``with`` block."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "file"
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        yield file

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tfserve.images.build_context import BuildContext, BuildContextStoppedError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "kept/one", "left/two", ".dockerignore"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".dockerignore").write_text("# not needed\n\nleft\nDockerfile\n")
    return tmp_path


def test_packs_all_but_ignored_files(source: Path) -> None:
    context = BuildContext()
    context.pack(source, "Dockerfile")
    assert len(context) > 0
    with tarfile.open(fileobj=context) as tar:  # type: ignore[call-overload] # it has the methods that tarfile needs
        assert {"Dockerfile", "kept/one"} <= set(tar.getnames())  # the engine needs the Dockerfile anyway
        assert not [name for name in tar.getnames() if name.startswith("left")]


def test_iteration_sends_everything(source: Path) -> None:
    context = BuildContext()
    context.pack(source, "Dockerfile")
    assert len(b"".join(context)) == len(context)


def test_stop(source: Path) -> None:
    context = BuildContext()
    context.pack(source, "Dockerfile")
    context.stop()
    with pytest.raises(BuildContextStoppedError):
        context.read(1)
    with pytest.raises(BuildContextStoppedError):
        context.pack(source, "Dockerfile")

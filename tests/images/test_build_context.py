from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from tfserve.images.build_context import Parcel, ParcelStoppedError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("Dockerfile", "kept/one", "left/two", ".dockerignore"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".dockerignore").write_text("# not needed\n\nleft\nDockerfile\n")
    return tmp_path


def test_what_is_packed(source: Path) -> None:
    parcel = Parcel()
    parcel.pack(source, "Dockerfile")
    assert len(parcel) > 0
    with tarfile.open(fileobj=parcel) as tar:  # type: ignore[call-overload] # it has what tarfile needs
        assert {"Dockerfile", "kept/one"} <= set(tar.getnames())  # the engine needs the Dockerfile anyway
        assert not [name for name in tar.getnames() if name.startswith("left")]


def test_all_that_is_packed_is_sent(source: Path) -> None:
    parcel = Parcel()
    parcel.pack(source, "Dockerfile")
    assert len(b"".join(parcel)) == len(parcel)


def test_it_stops(source: Path) -> None:
    parcel = Parcel()
    parcel.pack(source, "Dockerfile")
    parcel.stop()
    with pytest.raises(ParcelStoppedError):
        parcel.read(1)
    with pytest.raises(ParcelStoppedError):
        parcel.pack(source, "Dockerfile")

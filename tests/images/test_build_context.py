from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from tfserve.errors import UsageError
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


def test_link_that_replaces_a_file_while_it_is_packed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    key = tmp_path_factory.mktemp("private") / "key"
    key.write_text("a secret")
    (source / "link").symlink_to(key)

    class Exchanging(BuildContext):
        """Exchanges a directory for a link as soon as the entry before it was written."""

        def write(self, data: bytes) -> int:
            if b"Dockerfile" in data[:100] and not (source / "kept").is_symlink():
                (source / "kept").rename(source / "moved")
                (key.parent / "one").write_text("a secret")
                (source / "kept").symlink_to(key.parent)
            return super().write(data)

    context = BuildContext()
    context.pack(source, "Dockerfile")
    sent = b"".join(context)
    assert b"a secret" not in sent
    with tarfile.open(fileobj=io.BytesIO(sent)) as tar:
        assert tar.getmember("link").linkname == str(key)
    changing = Exchanging()
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        changing.pack(source, "Dockerfile")
    assert (source / "kept").is_symlink()


def test_pipe_that_replaces_a_file_while_it_is_packed(source: Path) -> None:
    class Exchanging(BuildContext):
        def write(self, data: bytes) -> int:
            if b"Dockerfile" in data[:100]:
                (source / "kept" / "one").unlink(missing_ok=True)
                os.mkfifo(source / "kept" / "pipe")
                (source / "kept" / "pipe").rename(source / "kept" / "one")
            return super().write(data)

    entry = tarfile.TarFile.gettarinfo
    with pytest.MonkeyPatch.context() as patch:  # the pipe replaces the file after it was found to be one
        patch.setattr(tarfile.TarFile, "gettarinfo", lambda tar, *names, **more: _regular(entry(tar, *names, **more)))
        with pytest.raises(OSError, match="Not a regular file"):
            Exchanging().pack(source, "Dockerfile")


def _regular(entry: tarfile.TarInfo | None) -> tarfile.TarInfo | None:
    if entry is not None and entry.isfifo():
        entry.type = tarfile.REGTYPE
    return entry


def test_ignore_file_that_is_a_pipe(source: Path) -> None:
    (source / ".dockerignore").unlink()
    os.mkfifo(source / ".dockerignore")
    with pytest.raises(UsageError, match="is not a file"):
        BuildContext().pack(source, "Dockerfile")


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

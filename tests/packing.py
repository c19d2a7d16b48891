"""Makes archives, valid and malicious ones."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["model_files", "tar_bytes", "tar_of", "zip_bytes"]


def model_files(half_plus_two: Path, prefix: str = "") -> dict[str, bytes]:
    """Returns the contents of the bundled model's files, by their path below the base path, after `prefix`."""
    files = (path for path in sorted(half_plus_two.rglob("*")) if path.is_file())
    return {prefix + path.relative_to(half_plus_two).as_posix(): path.read_bytes() for path in files}


def tar_bytes(files: Mapping[str, bytes], more: Iterable[tarfile.TarInfo] = (), *, compress: bool = True) -> bytes:
    """Returns a tar of `files`, and of `more` entries without content."""
    members = []
    for name, content in files.items():
        member = tarfile.TarInfo(name)
        member.size = len(content)
        members.append((member, content))
    return tar_of([*members, *((member, b"") for member in more)], compress=compress)


def tar_of(members: Iterable[tuple[tarfile.TarInfo, bytes]], *, compress: bool = True) -> bytes:
    """Returns a tar of `members` in this order, each with its content."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member, content in members:
            tar.addfile(member, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), 1, mtime=0) if compress else buffer.getvalue()


def zip_bytes(files: Mapping[str, bytes], *, links: Mapping[str, str] | None = None, method: int = 8) -> bytes:
    """Returns a zip of `files` and symbolic links."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
        for name, target in (links or {}).items():
            link = zipfile.ZipInfo(name)
            link.external_attr = (stat.S_IFLNK | 0o777) << 16
            archive.writestr(link, target)
    return buffer.getvalue()

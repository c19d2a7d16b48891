from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tfserve.host.removal import remove_tree

MakeDeep = Callable[..., None]
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")


@pytest.mark.parametrize(("depth", "name"), [(1, "d"), (1001, "d"), (20, "d" * 255)])
def test_deep_directories(make_deep: MakeDeep, tmp_path: Path, depth: int, name: str) -> None:
    make_deep(tmp_path / "top", depth, name)
    remove_tree(tmp_path / "top")
    assert list(tmp_path.iterdir()) == []


def test_many_deep_directories(make_deep: MakeDeep, tmp_path: Path) -> None:
    (tmp_path / "top").mkdir()
    for number in range(5):
        make_deep(tmp_path / "top" / f".removed-{number}", 5)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(list(Path("/proc/self/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 4, limits[1]))
    try:
        remove_tree(tmp_path / "top")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert list(tmp_path.iterdir()) == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept" / "file"
    kept.parent.mkdir()
    kept.touch()
    kept.parent.chmod(0o500)
    (tmp_path / "top" / "in").mkdir(parents=True)
    for link in ("link", "top/link", "top/in/link"):
        (tmp_path / link).symlink_to(kept.parent)
    (tmp_path / "top" / "in" / "dangling").symlink_to("nowhere")
    (tmp_path / "file").touch()
    for name in ("link", "top", "file", "none"):
        remove_tree(tmp_path / name)
    assert list(tmp_path.iterdir()) == [kept.parent]
    assert kept.exists()
    assert kept.parent.stat().st_mode & 0o777 == 0o500


@needs_root
def test_modes_that_forbid_it(tmp_path: Path) -> None:
    """Of a user without the rights of root."""
    program = (
        "import os, sys; from pathlib import Path; from tfserve.host.removal import remove_tree; os.setuid(65534)\n"
        "top = Path(sys.argv[1], 'top'); inner = top / 'a' / 'b' / 'c'\n"
        "inner.mkdir(parents=True); (inner / 'f').touch()\n"
        "for path in (inner / 'f', inner, *inner.parents[:3]): path.chmod(0)\n"
        "remove_tree(top)"
    )
    home = tmp_path / "home"
    home.mkdir()
    os.chown(home, NOBODY, NOBODY)
    subprocess.run([sys.executable, "-c", program, "."], cwd=home, check=True)
    assert list(home.iterdir()) == []


@needs_root
def test_what_cannot_be_removed(make_deep: MakeDeep, tmp_path: Path) -> None:
    """The first error is that of the file, and the rest is gone."""
    theirs = tmp_path / "top" / "a" / "theirs" / "file"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    make_deep(tmp_path / "top" / "b", 3)
    for directory in (tmp_path / "top" / "a", tmp_path / "top", tmp_path):
        os.chown(directory, NOBODY, NOBODY)
    program = (
        "import os, sys; from pathlib import Path; from tfserve.host.removal import remove_tree; os.setuid(65534)\n"
        "remove_tree(Path(sys.argv[1]), ignore_errors=True)\n"
        "try: remove_tree(Path(sys.argv[1]))\n"
        "except PermissionError: print('refused')"
    )
    os.chown(tmp_path / "top" / "b", NOBODY, NOBODY)
    for path in (tmp_path / "top" / "b").rglob("*"):
        os.chown(path, NOBODY, NOBODY)
    done = subprocess.run([sys.executable, "-c", program, "top"], cwd=tmp_path, check=True, stdout=subprocess.PIPE)
    assert done.stdout == b"refused\n"
    assert theirs.exists()
    assert not (tmp_path / "top" / "b").exists()

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tfserve.errors import NotPrivateError
from tfserve.host.private import (
    _is_private_group,
    check_private,
    make_private,
    open_private,
    read_private,
    who_can_change,
    write_private,
)

HOME = "XDG_STATE_HOME"
NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A directory of three levels that is private."""
    path = tmp_path / "home" / "tfserve" / "servers"
    make_private(path, HOME)
    return path


def refused(path: Path, *words: str) -> None:
    with pytest.raises(NotPrivateError) as caught:
        check_private(path, HOME)
    text = f"{caught.value.message}\n{caught.value.hint}"
    for word in (str(path), f"export {HOME}=", *words):
        assert word in text
    assert caught.value.exit_code == 4


def test_a_new_directory(state: Path) -> None:
    check_private(state, HOME)
    check_private(state / "web" / "not" / "there", HOME)


def test_a_file_that_others_can_change_deep_below(state: Path, make_deep: Callable[..., None]) -> None:
    """Deeper than functions can call each other."""
    make_deep(state / "d", 1001)
    assert who_can_change(state) is None
    file = Path(f"{state}{1001 * '/d'}/file")
    file.chmod(0o666)
    assert f"{str(file)!r} belongs to" in str(who_can_change(state))


@pytest.mark.parametrize("umask", [0, 0o002, 0o022, 0o077, 0o377, 0o777])
def test_everything_is_created_for_this_user_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        path = tmp_path / "new" / "tfserve" / "servers"
        make_private(path, HOME)
        write_private(path / "file", "text", HOME)
        os.close(open_private(path / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, HOME))
    finally:
        os.umask(before)
    for directory in (path, *list(path.parents)[:2]):
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in path.iterdir()} == {0o600}
    assert read_private(path / "file", HOME) == "text"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o720, 0o702, 0o1777, 0o3770])
@pytest.mark.parametrize("name", ["", "web"])
def test_a_directory_that_others_can_write_to(state: Path, mode: int, name: str) -> None:
    path = state / name
    path.mkdir(exist_ok=True)
    path.chmod(mode)
    refused(path, f"chmod go-w {path}", f"mode {mode:o}")


@pytest.mark.parametrize("levels", [1, 2])
@pytest.mark.parametrize("mode", [0o777, 0o770, 0o733])
def test_a_directory_above_it_that_others_can_write_to(state: Path, levels: int, mode: int) -> None:
    state.parents[levels - 1].chmod(mode)
    refused(state, str(state.parents[levels - 1]))
    state.parents[levels - 1].chmod(mode | stat.S_ISVTX)
    check_private(state, HOME)  # no other user can rename what is in it


def test_nothing_is_created_where_others_can_write(state: Path) -> None:
    state.chmod(0o777)
    with pytest.raises(NotPrivateError):
        make_private(state / "a" / "b", HOME)
    assert list(state.iterdir()) == []


@needs_root
@pytest.mark.parametrize("levels", [0, 1, 2])
def test_another_user_who_is_faster(tmp_path: Path, levels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """They create a directory in a shared one just before tfserve does, to redirect what is done there."""
    tmp_path.chmod(0o1777)
    path = tmp_path / "home" / "tfserve" / "servers"
    theirs, mkdir = (path, *path.parents)[levels], Path.mkdir

    def create(directory: Path, mode: int = 0o777) -> None:
        if directory == theirs:
            mkdir(directory)
            os.chown(directory, NOBODY, -1)
        mkdir(directory, mode)

    monkeypatch.setattr(Path, "mkdir", create)
    with pytest.raises(NotPrivateError, match="nobody"):
        make_private(path, HOME)
    assert list(theirs.iterdir()) == []


@needs_root
@pytest.mark.parametrize("levels", [0, 1, 2])
@pytest.mark.parametrize("mode", [0o700, 0o1777])
def test_a_directory_of_another_user(state: Path, levels: int, mode: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOME, raising=False)
    path = (state, *state.parents)[levels]
    path.chmod(mode)
    os.chown(path, NOBODY, -1)
    monkeypatch.setenv("HOME", str(path))  # as with sudo, which can keep the one of its caller
    refused(state, "nobody (uid 65534)", "sudo -H", str(path))
    monkeypatch.setenv("HOME", "/root")
    with pytest.raises(NotPrivateError) as caught:
        check_private(state, HOME)
    assert "sudo" not in str(caught.value.hint)
    monkeypatch.setenv(HOME, str(path))
    with pytest.raises(NotPrivateError) as caught:
        check_private(state, HOME)
    assert "sudo" not in str(caught.value.hint)


@needs_root
def test_a_directory_without_a_name_for_its_owner(state: Path) -> None:
    os.chown(state, 54321, -1)
    refused(state, "the user 54321")


@pytest.mark.parametrize("target", ["{0}/elsewhere", "../elsewhere", "./../elsewhere/.", "../other/../elsewhere"])
def test_links(state: Path, target: str) -> None:
    elsewhere = state.parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (state.parent / "other").mkdir(mode=0o700)
    link = state / "link"
    link.symlink_to(target.format(state.parent))
    check_private(link, HOME)
    check_private(link / "below", HOME)
    elsewhere.chmod(0o1777)
    refused(link)
    elsewhere.chmod(0o777)
    refused(link / "below")


def test_links_without_an_end(state: Path) -> None:
    (state / "link").symlink_to("link")
    check_private(state / "link", HOME)
    with pytest.raises(OSError, match="symbolic links"):
        read_private(state / "link" / "file", HOME)


@needs_root
def test_a_link_of_another_user(state: Path) -> None:
    link = state.parent / "link"
    link.symlink_to(state)
    os.chown(link, NOBODY, -1, follow_symlinks=False)
    refused(link, str(link))
    refused(link / "web")


def test_files(state: Path) -> None:
    file = state / "file"
    write_private(file, "text", HOME)
    for mode in (0o622, 0o602, 0o620):
        file.chmod(mode)
        with pytest.raises(NotPrivateError, match="can be written by") as caught:
            read_private(file, HOME)
        assert f"chmod go-w {file}" in str(caught.value.hint)
    file.chmod(0o644)
    assert read_private(file, HOME) == "text"


@needs_root
def test_a_file_of_another_user(state: Path) -> None:
    file = state / "file"
    write_private(file, "text", HOME)
    os.chown(file, NOBODY, -1)
    for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_APPEND):
        with pytest.raises(NotPrivateError, match="nobody"):
            open_private(file, flags, HOME)


def test_what_is_not_a_file(state: Path) -> None:
    (state / "target").write_text("text")
    (state / "link").symlink_to("target")
    os.mkfifo(state / "pipe")
    for name in ("link", "pipe", ""):
        with pytest.raises(OSError):
            read_private(state / name, HOME)


def user_with_a_private_group() -> tuple[int, int]:
    users = pwd.getpwall()
    for user in users:
        group = grp.getgrgid(user.pw_gid)
        members = {*group.gr_mem, *(other.pw_name for other in users if other.pw_gid == user.pw_gid)}
        if user.pw_uid and user.pw_gid and group.gr_name == user.pw_name and members == {user.pw_name}:
            return user.pw_uid, user.pw_gid
    pytest.skip("no user of this machine has a group of their own")


def as_user(uid: int, gid: int, do: Callable[[], bool]) -> bool:
    """Calls a function as another user, in a fork of this process."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(gid)
            os.setuid(uid)
            os._exit(1 if do() else 0)
        finally:
            os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, 1)
    return bool(code)


@needs_root
@pytest.mark.parametrize(("mode", "own", "private"), [(0o775, True, True), (0o775, False, False), (0o777, True, False)])
def test_the_private_group_of_a_user(mode: int, own: bool, private: bool) -> None:
    """As on Ubuntu, where new directories of a user have the mode 0775."""
    uid, gid = user_with_a_private_group()

    def is_private() -> bool:
        state = Path(tempfile.mkdtemp(dir="/tmp"))
        path = state / "tfserve"
        path.mkdir()
        try:
            for directory in (state, path):
                directory.chmod(mode)
            check_private(path, HOME)
        except NotPrivateError:
            return False
        else:
            return True
        finally:
            shutil.rmtree(state)

    assert as_user(uid, gid if own else 12345, is_private) is private


@pytest.mark.parametrize(
    ("group", "members", "services", "private"),
    [
        ("ada", [], "files", True),
        ("ada", ["ada"], "files ldap", True),
        ("ada", ["ada", "bob"], "files", False),
        ("users", [], "files systemd", True),
        ("users", [], "files sss", False),
        ("users", ["bob"], "files", False),
        ("users", [], "", False),
    ],
)
def test_private_groups(
    group: str, members: list[str], services: str, private: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ada = pwd.struct_passwd(("ada", "x", 1000, 100, "", "/home/ada", "/bin/sh"))
    bob = pwd.struct_passwd(("bob", "x", 1001, 101, "", "/home/bob", "/bin/sh"))
    (tmp_path / "nsswitch").write_text(
        f"# comment\npasswd: {services}\ngroup:  {services}\nhosts: dns\n" * bool(services)
    )
    monkeypatch.setattr("tfserve.host.private._SERVICES", tmp_path / "nsswitch")
    monkeypatch.setattr(pwd, "getpwall", lambda: [ada, bob])
    monkeypatch.setattr(pwd, "getpwuid", lambda uid: {1000: ada, 1001: bob, 0: ada}[uid])
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group((group, "x", gid, members)))
    assert _is_private_group.__wrapped__(1000, 100) is private
    assert not _is_private_group.__wrapped__(1001, 100)  # not the primary group
    assert not _is_private_group.__wrapped__(0, 100)
    assert not _is_private_group.__wrapped__(1000, 0)

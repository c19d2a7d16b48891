"""Checks the flags for ``tensorflow_model_server`` that users pass, and the text files that the flags name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from tfserve.errors import Attribute, UsageError, Wording, about
from tfserve.host.files import read_bounded
from tfserve.protos.own_server_flags import ALL_FLAGS_BY_NAME, OWN_FLAGS_BY_NAME
from tfserve.protos.server_flags import parse_tags
from tfserve.text import did_you_mean

__all__ = [
    "SET_BY_TFSERVE",
    "FlagFile",
    "check_flag_files",
    "check_official",
    "flag_digests",
    "flag_files",
    "flag_value",
    "model_tags",
    "parse_config_file",
    "parse_server_flags",
    "read_config_file",
]

SET_BY_TFSERVE = {
    "port": "grpc_port",
    "rest_api_port": "rest_port",
    "model_name": "model_name",
    "model_base_path": "models",
    "model_config_file": "config",
    "bind_address": "host",
    "config_reload_socket_path": "reload_over_tcp",
}
"""Flags that users cannot pass, and the attributes of a spec to set instead."""

_MESSAGES = {
    "BatchingParameters": "server_config_pb2",
    "ConfigProto": "server_config_pb2",
    "ModelServerConfig": "model_config_pb2",
    "MonitoringConfig": "server_config_pb2",
    "SSLConfig": "server_config_pb2",
}  # message -> its module; other messages contain google.protobuf.Any of types that are only known to the server
_MAX_FILE_BYTES = 16 << 20


class FlagFile(NamedTuple):
    """A text file of the host that a flag names."""

    flag: str
    path: Path


def parse_server_flags(flags: Sequence[str], directory: Path | None = None) -> tuple[str, ...]:
    """Checks server flags against those that ``tensorflow_model_server`` has.

    The official server prints its usage for an unknown flag and starts anyway, so a typo would go unnoticed until it
    matters.

    Args:
        flags: each as ``--name=value``, or ``--name`` for a bool.
        directory: the directory that the paths of text files are relative to; None to leave the paths unchanged.

    Returns:
        Each flag once, with the last of its values, and with absolute paths of text files.

    Raises:
        UsageError: a flag is unknown, set by tfserve itself, not written as ``--name=value``, or of the wrong type.
    """
    checked = [_checked(flag, directory) for flag in flags]
    return tuple({flag.partition("=")[0]: flag for flag in checked}.values())


def check_official(flags: Sequence[str], *, instead: str) -> None:
    """Checks that the official server has all of `flags`.

    Args:
        flags: the flags.
        instead: how to serve with tfserve's own server, for the hint.

    Raises:
        UsageError: only tfserve's own server has one of them.
    """
    for name in (flag[2:].partition("=")[0] for flag in flags):
        if name in OWN_FLAGS_BY_NAME:
            raise UsageError(
                f"tensorflow_model_server has no flag --{name}: only tfserve's own server has it.",
                hint=f"Leave it out, or {instead}",
            )


def flag_value(flags: Sequence[str], name: str) -> str | None:
    """Returns the last value of the flag `name`, which the server uses; None if `flags` does not contain it."""
    given = [flag.partition("=")[2] for flag in flags if flag.startswith(f"--{name}=")]
    return given[-1] if given else None


def model_tags(flags: Sequence[str]) -> frozenset[str]:
    """Returns the tags of the meta graph that a server with `flags` loads from each model."""
    return frozenset(parse_tags(flag_value(flags, "saved_model_tags") or ""))


def flag_files(flags: Sequence[str]) -> Iterator[FlagFile]:
    """Yields the text files that `flags` name; the flags have to be checked already."""
    for name in dict.fromkeys(flag[2:].partition("=")[0] for flag in flags):
        value = flag_value(flags, name) if ALL_FLAGS_BY_NAME[name].file else None
        if value:
            yield FlagFile(name, Path(value))


def check_flag_files(flags: Sequence[str]) -> None:
    """Checks the text files that `flags` name, which the server would only read after it has started.

    Raises:
        UsageError: a file cannot be read, or does not have the format that its flag requires; with line and column.
    """
    for name, path in flag_files(flags):
        message = str(ALL_FLAGS_BY_NAME[name].file)
        with about("server_flags", name):
            text = read_config_file(path, f"--{name}")
            if message in _MESSAGES:
                module = import_module(f"tfserve.protos.{_MESSAGES[message]}")
                parse_config_file(path, text, getattr(module, message)())


def flag_digests(flags: Sequence[str]) -> dict[str, str]:
    """Returns the SHA-256 digest of each text file that `flags` name, by flag, so that changes can be detected later.

    Raises:
        UsageError: a file cannot be read.
    """
    import hashlib

    return {name: hashlib.sha256(read_config_file(path, f"--{name}")).hexdigest() for name, path in flag_files(flags)}


def read_config_file(path: Path, named_by: str | Wording) -> bytes:
    """Returns the content of a text file.

    Args:
        path: the file.
        named_by: the flag or option that names it, for errors.

    Raises:
        UsageError: it cannot be read, is empty, or is too large.
    """
    what = Wording("{path!r}, the file for {option},", path=str(path), option=named_by)
    text = read_bounded(path, _MAX_FILE_BYTES, what=what, hint="Give the path of a text file.", regular=True)
    if not text:  # the official server cannot map an empty file into memory
        raise UsageError(
            Wording("{what} is empty.", what=what), hint="Leave the option out, or add content to the file."
        )
    return text


def parse_config_file(path: Path, text: bytes, message: object) -> None:
    """Parses `text`, the content of the file `path`, into the protobuf message `message`.

    Raises:
        UsageError: `text` is not such a message; with line and column.
    """
    from tfserve.protos.text_files import TextError, parse_text

    name = type(message).__name__
    try:
        parse_text(text, message)  # type: ignore[type-var]  # a protobuf type, which takes too long to import above
    except TextError as failure:
        where = f", line {failure.line}, column {failure.column}" if failure.line else ""
        raise UsageError(
            f"{str(path)!r}{where}: {failure.problem.rstrip('.')}.",
            hint=f"The file has to contain a {name} in protobuf's text format: field: value, and message {{ … }}",
        ) from None


def _checked(flag: str, directory: Path | None) -> str:
    if not flag.startswith("--"):
        raise UsageError(
            f"{flag!r} is not a server flag.",
            hint="Write it as --name=value. With tfserve run, server flags follow --: "
            "tfserve run MODEL_DIR -- --enable_batching=true",
        )
    name, separator, value = flag[2:].partition("=")
    if name in SET_BY_TFSERVE:
        raise UsageError(
            f"--{name} is set by tfserve.",
            hint=Wording("Use {attribute} instead.", attribute=Attribute(SET_BY_TFSERVE[name])),
        )
    known = ALL_FLAGS_BY_NAME.get(name)
    if known is None:
        hint = did_you_mean(name, ALL_FLAGS_BY_NAME, "--") or "List all flags: tfserve flags"
        raise UsageError(f"tensorflow_model_server has no flag --{name}.", hint=hint)
    if not separator and known.type != "bool":
        raise UsageError(f"--{name} needs a value.", hint=f"Write it as --{name}=VALUE.")
    if separator and known.parse(value) is None:
        raise UsageError(f"--{name}={value} is not a value of type {known.type}.", hint=known.help)
    if known.file and value and directory is not None:
        return f"--{name}={(directory / value).absolute()}"
    return flag if separator else f"{flag}=true"

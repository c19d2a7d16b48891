"""Flags for ``tensorflow_model_server`` as somebody gave them: checked, and the text files that they name."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from tfserve.errors import Attribute, UsageError, Wording, about
from tfserve.protos.server_flags import SERVER_FLAGS_BY_NAME, parse_tags
from tfserve.text import did_you_mean

__all__ = [
    "FlagFile",
    "check_flag_files",
    "flag_digests",
    "flag_files",
    "flag_value",
    "model_tags",
    "parse_server_flags",
]

SET_BY_TFSERVE = {
    "port": "grpc_port",
    "rest_api_port": "rest_port",
    "model_name": "model_name",
    "model_base_path": "models",
    "model_config_file": "config",
    "bind_address": "host",
}
"""Flags that are not to be given, and the attributes of a spec that say the same."""

_MESSAGES = {
    "BatchingParameters": "server_config_pb2",
    "ConfigProto": "server_config_pb2",
    "ModelServerConfig": "model_config_pb2",
    "MonitoringConfig": "server_config_pb2",
    "SSLConfig": "server_config_pb2",
}  # and the modules that can read them; the others hold google.protobuf.Any of types that only the server has
_MAX_FILE_BYTES = 16 << 20


class FlagFile(NamedTuple):
    """A text file of the host that a flag names."""

    flag: str
    path: Path


def parse_server_flags(flags: Sequence[str], directory: Path | None = None) -> tuple[str, ...]:
    """Checks what stands after ``--`` against the flags of ``tensorflow_model_server``.

    The official server prints its usage for an unknown flag and starts all the same, so a typing error would go
    unnoticed until it matters.

    Args:
        flags: each as ``--name=value``, or ``--name`` for a bool.
        directory: where the paths of text files start; None to leave them as they are.

    Returns:
        The flags, each once and with its value, the last one, and with absolute paths of text files.

    Raises:
        UsageError: a flag is unknown, set by tfserve itself, not written as ``--name=value``, or of the wrong type.
    """
    checked = [_checked(flag, directory) for flag in flags]
    return tuple({flag.partition("=")[0]: flag for flag in checked}.values())


def flag_value(flags: Sequence[str], name: str) -> str | None:
    """The value that `flags` give the flag `name`: as for the server, the last one holds. None where there is none."""
    given = [flag.partition("=")[2] for flag in flags if flag.startswith(f"--{name}=")]
    return given[-1] if given else None


def model_tags(flags: Sequence[str]) -> frozenset[str]:
    """The tags of the meta graph that a server with `flags` loads of each model."""
    return frozenset(parse_tags(flag_value(flags, "saved_model_tags") or ""))


def flag_files(flags: Sequence[str]) -> Iterator[FlagFile]:
    """Yields the text files that `flags`, which were checked, name."""
    for name in dict.fromkeys(flag[2:].partition("=")[0] for flag in flags):
        value = flag_value(flags, name) if SERVER_FLAGS_BY_NAME[name].file else None
        if value:
            yield FlagFile(name, Path(value))


def check_flag_files(flags: Sequence[str]) -> None:
    """Reads the text files that `flags` name, before a server fails over them.

    Raises:
        UsageError: one cannot be read, or is not what its flag needs; with line and column.
    """
    for name, path in flag_files(flags):
        message = str(SERVER_FLAGS_BY_NAME[name].file)
        with about("server_flags", name):
            text = read_config_file(path, f"--{name}")
            if message in _MESSAGES:
                module = import_module(f"tfserve.protos.{_MESSAGES[message]}")
                parse_config_file(path, text, getattr(module, message)())


def flag_digests(flags: Sequence[str]) -> dict[str, str]:
    """The digest (SHA-256) of each text file that `flags` name, by its flag, for a later look whether it has changed.

    Raises:
        UsageError: one cannot be read.
    """
    import hashlib

    return {name: hashlib.sha256(read_config_file(path, f"--{name}")).hexdigest() for name, path in flag_files(flags)}


def read_config_file(path: Path, named_by: str | Wording) -> bytes:
    """Returns what is in a text file that `named_by` names.

    Raises:
        UsageError: it cannot be read, is empty, or is far too big to be one.
    """

    def named(problem: str) -> Wording:
        return Wording("{path!r}, which {by} names, {problem}", path=str(path), by=named_by, problem=problem)

    try:
        if not path.is_file():  # reading a pipe or a device could last for ever
            what = "is not a file" if path.exists() else "is not there"
            raise UsageError(named(f"{what}."), hint="Give the path of a text file.")
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise UsageError(named(f"cannot be read: {reason}."), hint="Give the path of a text file.") from None
    if not text:  # which the official server cannot map into memory
        raise UsageError(named("is empty."), hint="Leave the option out, or fill it.")
    if len(text) > _MAX_FILE_BYTES:
        raise UsageError(named(f"is over {_MAX_FILE_BYTES >> 20} MiB."), hint="Give the path of a text file.")
    return text


def parse_config_file(path: Path, text: bytes, message: object) -> None:
    """Fills `message`, of protobuf, with what `text` of the file `path` says.

    Raises:
        UsageError: it does not stand for such a message; with line and column.
    """
    from tfserve.protos.text_files import TextError, parse_text

    name = type(message).__name__
    try:
        parse_text(text, message)  # type: ignore[type-var]  # a type of protobuf, which costs too much to import above
    except TextError as failure:
        where = f", line {failure.line}, column {failure.column}" if failure.line else ""
        raise UsageError(
            f"{str(path)!r}{where}: {failure.problem.rstrip('.')}.",
            hint=f"The file is to hold a {name} in protobuf's text format: field: value, and message {{ … }}",
        ) from None


def _checked(flag: str, directory: Path | None) -> str:
    if not flag.startswith("--"):
        raise UsageError(
            f"{flag!r} is not a server flag.",
            hint="Server flags stand after a lone --, as --name=value: tfserve run DIR -- --enable_batching=true",
        )
    name, separator, value = flag[2:].partition("=")
    if name in SET_BY_TFSERVE:
        raise UsageError(
            f"--{name} is set by tfserve.",
            hint=Wording("Use {attribute} instead.", attribute=Attribute(SET_BY_TFSERVE[name])),
        )
    known = SERVER_FLAGS_BY_NAME.get(name)
    if known is None:
        hint = did_you_mean(name, SERVER_FLAGS_BY_NAME, "--") or "tfserve flags lists them all."
        raise UsageError(f"tensorflow_model_server has no flag --{name}.", hint=hint)
    if not separator and known.type != "bool":
        raise UsageError(f"--{name} needs a value.", hint=f"Write it as --{name}=VALUE.")
    if separator and known.parse(value) is None:
        raise UsageError(f"--{name}={value} is not a value of type {known.type}.", hint=known.help)
    if known.file and value and directory is not None:
        return f"--{name}={(directory / value).absolute()}"
    return flag if separator else f"{flag}=true"

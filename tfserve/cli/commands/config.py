"""``tfserve config``, ``init`` and ``schema``: show, create and validate YAML files of servers."""

from __future__ import annotations

import os
from pathlib import Path

from tfserve.cli.options import ConfiguredNames, FileOption, JsonOption, ModelArgument, NewFileOption
from tfserve.cli.output import Output
from tfserve.errors import TfserveError, UsageError, located

__all__ = ["config", "init", "schema", "write_new"]


def config(
    names: ConfiguredNames = None,
    *,
    file: FileOption = None,
    json: JsonOption = False,
) -> None:
    """Show a YAML file with defaults and variables resolved.

    The values of variables are shown, also those that are secrets. The models, versions and files that the file names
    are checked, as by tfserve up.
    """
    from tfserve.config.read import DEFAULT_FILE, choose, read_servers
    from tfserve.config.write import servers_data, write_servers
    from tfserve.engines.choice import check_spec
    from tfserve.servers.smoke_test import read_test_request

    output = Output(json_wanted=json)
    servers = choose(read_servers(file or DEFAULT_FILE, os.environ), names or ())
    for server in servers:
        with located(server.locate):
            read_test_request(server.options)
            check_spec(server.spec, server.options.engine, output, download=False)
    if json:
        output.result(servers_data(servers), "")
    else:
        output.text(write_servers(servers).rstrip())


def init(
    model_dir: ModelArgument,
    *,
    file: NewFileOption = None,
) -> None:
    """Create a YAML file for one model.

    The file contains every other field as a comment.
    """
    from tfserve.config.document import STANDARD_INPUT
    from tfserve.config.read import DEFAULT_FILE
    from tfserve.config.template import first_file
    from tfserve.models.saved_model import find_model
    from tfserve.models.source import source_name
    from tfserve.models.url import Url, parse_source
    from tfserve.spec.values import valid_name

    target = file or DEFAULT_FILE
    source = parse_source(model_dir)
    default = source_name(source)
    name = valid_name(default)
    if name != default:
        Output().notice(f"{default!r} is not a valid model name; the file uses {name!r}.")
    if isinstance(source, Url):
        text = first_file(name, source)
    else:
        path = os.path.relpath(source.expanduser().absolute(), target.absolute().parent)
        version = find_model(source).newest.number if source.expanduser().is_dir() else 1
        text = first_file(name, path if path.startswith(".") else f"./{path}", version)
    if target == STANDARD_INPUT:
        Output().text(text.rstrip())
        return
    write_new(target, text)
    Output().text(f"Created {target}. Review it, then: tfserve up{'' if file is None else f' -f {file}'}")


def schema() -> None:
    """Print the JSON Schema of the YAML file.

    Editors use it to complete and validate the file.
    """
    from tfserve.config.schema import json_schema

    Output(json_wanted=True).result(json_schema(), "")


def write_new(file: Path, text: str, *, secret: bool = False) -> None:
    """Creates a file.

    Raises:
        UsageError: the file exists, or its directory does not.
        TfserveError: it cannot be written.
    """
    if file.is_dir():
        raise UsageError(f"{str(file)!r} is a directory.", hint="Give the name of a file.")
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o666)
        with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError:
        raise UsageError(f"{file} already exists.", hint="Remove it first, or choose another name.") from None
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(
            f"{file} cannot be written: the directory {file.parent} does not exist.",
            hint="Create it, or choose another.",
        ) from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise TfserveError(f"{file} cannot be written: {reason}.", hint="Choose another file.") from None

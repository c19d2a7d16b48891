"""Reads the servers that a YAML file describes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tfserve.config.document import YamlNode, read_document
from tfserve.config.paths import normalized
from tfserve.config.source_map import ServerSource, file_names
from tfserve.errors import TfserveError, UsageError, about, located
from tfserve.models.url import Url
from tfserve.spec.field_parsers import Context, parse_file
from tfserve.spec.fields import FIELDS
from tfserve.spec.model import ModelSpec
from tfserve.spec.models_config import read_models_config
from tfserve.spec.port_request import PortRequest
from tfserve.spec.serve import LaunchOptions, ServeSpec
from tfserve.spec.values import check_name
from tfserve.text import did_you_mean

__all__ = [
    "DEFAULT_FILE",
    "ConfiguredServer",
    "choose",
    "choose_names",
    "read_engines",
    "read_servers",
]

DEFAULT_FILE = Path("tfserve.yaml")

_DOCUMENT = "a mapping with the keys servers and defaults"
_FIELDS = {field.name: field for field in FIELDS if field.key is not None}
_EVERY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - a port on one of these is taken on every other address


@dataclass(frozen=True)
class ConfiguredServer:
    """One server of a file: its spec, how to start it, and where the file describes it."""

    spec: ServeSpec
    options: LaunchOptions
    line: int = 0
    source: ServerSource | None = field(default=None, compare=False, repr=False)

    def locate(self, error: TfserveError) -> None:
        """Writes an error as the file does; adds file, line and path if it is about a field of the server."""
        if self.source is not None and error.about:
            self.source.locate(error)
        else:
            error.reword(file_names)
            error.rewrite(self.masked)

    def masked(self, text: str) -> str:
        """Returns text about this server without secret values of variables that the file uses."""
        return text if self.source is None else self.source.node.document.masked(text)


def read_servers(file: Path, variables: Mapping[str, str]) -> tuple[ConfiguredServer, ...]:
    """Reads the servers of a file, in the order of the file.

    A model without a name is named after its server if it is the only model, as with ``tfserve run --name``, otherwise
    after its directory.

    Args:
        file: the YAML file; paths in it are relative to its directory.
        variables: the environment variables, for ``${NAME}`` and for ``env`` without values.

    Raises:
        UsageError: the file, or something in it, is not valid; with file, line and path.
        SavedModelError: a model without a name is not a SavedModel.
    """
    document = read_document(file, variables, file_names)
    context = Context(file.parent.absolute(), variables)
    sections = document.fields(_DOCUMENT, ["defaults", "servers"], extensions=True)
    nodes = _server_nodes(document)
    shared = [name for name, field in _FIELDS.items() if field.shared]
    defaults = sections["defaults"].fields("a mapping of defaults", shared) if "defaults" in sections else {}
    servers = []
    for name, node in nodes.items():
        source = ServerSource(node, defaults)
        with located(source.locate):
            servers.append(_read_server(name, source, context))
    _check_ports(servers)
    return tuple(servers)


def read_engines(file: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Reads the names of the servers of a file, and the engine of each: ``auto`` if the file does not set one.

    Other fields are not read, so that servers can be removed when their description is no longer valid, for example
    because a variable is not set. An engine that is not valid is treated as ``auto``.

    Raises:
        UsageError: the file cannot be read, or describes no servers.
    """
    document = read_document(file, variables, file_names)
    context = Context(file.parent.absolute(), variables)
    engine = _FIELDS["engine"]
    engines = {}
    for name, node in _server_nodes(document).items():
        engines[name] = "auto"
        for start, keys in ((document, ["defaults", engine.name]), (node, [engine.name])):
            with suppress(UsageError):
                if (found := start.find(keys)) is not None:
                    engines[name] = engine.type.parse(found.plain(), context)
    return engines


def choose(servers: Sequence[ConfiguredServer], names: Sequence[str]) -> tuple[ConfiguredServer, ...]:
    """Returns the servers with these names; all servers if `names` is empty.

    Raises:
        UsageError: the file does not describe a server with one of the names.
    """
    chosen = choose_names([server.spec.name for server in servers], names)
    return tuple(server for server in servers if server.spec.name in chosen)


def choose_names(known: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    """Returns `names`; all `known` names if it is empty.

    Raises:
        UsageError: the file does not describe a server with one of the names.
    """
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"The servers are: {', '.join(known)}."
            raise UsageError(f"The file does not describe a server named {name!r}.", hint=hint)
    return names or known


def _server_nodes(document: YamlNode) -> dict[str, YamlNode]:
    node = document.fields(_DOCUMENT).get("servers")
    if node is None:
        document.fail("The field servers is missing.", "Create a file with tfserve init MODEL_DIR")
    servers = node.fields("a mapping of servers by name")
    if not servers:
        node.fail("The mapping of servers is empty.", "Add a server: servers: {NAME: {models: [MODEL_DIR]}}")
    return servers


def _read_server(name: str, source: ServerSource, context: Context) -> ConfiguredServer:
    own = source.node.fields("a mapping with the fields of a server", ["models", *_FIELDS])
    with located(source.node.locate):
        check_name(name, kind="server")
    given, shared = _plain(own), _plain(source.defaults)
    if "config" in given:
        with about("config"):
            given["config"] = normalized(parse_file(given["config"], context))
    options = LaunchOptions.parse(given, context, shared)
    models = _read_models(name, source, own, given, context)
    spec = ServeSpec.parse({**given, "name": name, "models": models}, context, shared)
    return ConfiguredServer(spec, options, source.node.line, source)


def _plain(nodes: Mapping[str, YamlNode]) -> dict[str, Any]:
    """Returns the fields of a server, by attribute, as plain data."""
    return {_FIELDS[name].attribute: node.plain() for name, node in nodes.items() if name in _FIELDS}


def _read_models(
    server: str, source: ServerSource, own: Mapping[str, YamlNode], given: Mapping[str, Any], context: Context
) -> tuple[ModelSpec, ...]:
    if "config" in own and "models" in own:
        own["config"].fail("config and models cannot be combined: config lists the models.", "Remove one of them.")
    if "config" in own:
        with about("config"):
            return read_models_config(given["config"])
    if "models" in own:
        return tuple(_read_entries(server, own["models"].items("a list of models"), own["models"], context))
    if "image" not in own:
        source.node.fail(
            "The field models is missing.", "Add it: models: [MODEL_DIR]; or use an image with models inside: image: …"
        )
    return ()


def _read_entries(server: str, entries: Sequence[YamlNode], models: YamlNode, context: Context) -> Iterator[ModelSpec]:
    if not entries:
        models.fail("The list of models is empty.", "Add a model: models: [MODEL_DIR]")
    for index, entry in enumerate(entries):
        with about("models", index):
            model = ModelSpec.parse(entry.plain(), context, server if len(entries) == 1 else None)
        yield model if isinstance(model.path, Url) else replace(model, path=normalized(model.path))


def _check_ports(servers: Sequence[ConfiguredServer]) -> None:
    """Refuses two servers with the same port.

    Raises:
        UsageError: two servers request a port by the same number, on addresses that overlap.
    """
    taken: dict[int, list[tuple[str, ConfiguredServer]]] = {}
    for server in servers:
        for attribute in ("rest_port", "grpc_port"):
            request: PortRequest = getattr(server.spec, attribute)
            if not (request.number and request.explicit):
                continue
            host = server.spec.host
            for other_host, other in taken.setdefault(request.number, []):
                if host == other_host or host in _EVERY_ADDRESS or other_host in _EVERY_ADDRESS:
                    with located(server.locate):
                        raise UsageError(
                            f"Port {request.number} is already used by {other.spec.name!r} in line {other.line}.",
                            hint="Use different ports for each server, or 0 for any free port.",
                            about=(attribute,),
                        )
            taken[request.number].append((host, server))

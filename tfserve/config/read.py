"""A YAML file -> the servers that it describes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from tfserve.config.document import Part, read_document
from tfserve.config.field_readers import Context, Place, integer, told
from tfserve.config.fields import FIELDS, Field
from tfserve.config.paths import tidy
from tfserve.config.source_map import ServerPlace, file_names
from tfserve.errors import TfserveError, UsageError, about
from tfserve.models.source import source_name
from tfserve.models.url import Url, parse_source
from tfserve.spec.models_config import read_models_config
from tfserve.spec.serve import LaunchOptions, ModelSpec, PortRequest, ServeSpec
from tfserve.spec.values import check_name
from tfserve.spec.versions import VersionPolicy, parse_label
from tfserve.text import did_you_mean

__all__ = [
    "DEFAULT_FILE",
    "MODEL_FIELDS",
    "Configured",
    "choose",
    "choose_names",
    "read_engines",
    "read_servers",
]

DEFAULT_FILE = Path("tfserve.yaml")
MODEL_FIELDS = ("path", "name", "versions", "labels", "sha256")
T = TypeVar("T")

_DOCUMENT = "servers: and defaults:"
_ENGINE = next(field for field in FIELDS if field.name == "engine")
_EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - addresses that take the ports of every other one


@dataclass(frozen=True)
class Configured:
    """One server of a file: what it is, how it is started, and where that is described."""

    spec: ServeSpec
    options: LaunchOptions
    line: int = 0
    place: Place | None = field(default=None, compare=False, repr=False)

    def told(self, do: Callable[[], T]) -> T:
        """Returns what `do` returns; its complaint is given file, line and path, if it is about a part of the spec."""
        try:
            return do()
        except TfserveError as error:
            raise self.placed(error) from None

    def placed(self, error: TfserveError) -> TfserveError:
        """Returns `error`, with its place if it is about a part of the spec."""
        return self.place.placed(error) if self.place is not None and error.about else error


def read_servers(file: Path, variables: Mapping[str, str]) -> tuple[Configured, ...]:
    """Reads the servers of a file, in its order.

    A model without a name has that of its server where it is the only one, as with ``tfserve run --name``, else that of
    its directory.

    Args:
        file: in YAML; paths in it start where it is.
        variables: the environment, for ``${NAME}`` and for ``env`` without values.

    Raises:
        UsageError: the file, or something in it, is not what it should be; with file, line and path.
        SavedModelError: a path without a name is not a model.
    """
    document = read_document(file, variables, file_names)
    context = Context(file.parent.absolute(), variables)
    known = document.fields(_DOCUMENT, ["defaults", "servers"], extensions=True)
    described = _servers_in(document)
    names = [field.name for field in FIELDS]
    defaults = known["defaults"].fields("the defaults of all servers", names) if "defaults" in known else {}
    servers = []
    for name, part in described.items():
        own = part.fields("the fields of a server", ["models", "config", *names])
        place = ServerPlace(part, defaults)
        servers.append(told(place, lambda: _server(name, place, own, context)))  # noqa: B023
    _check_ports(servers)
    return tuple(servers)


def read_engines(file: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """Reads the names of the servers of a file, and on which engine each is looked for: ``auto`` where it is not said.

    Nothing that is said of a server, or of all, has to be right for it, so that what was started can be ended: a
    variable may be missing by now. An engine that cannot be read counts as not said.

    Raises:
        UsageError: the file cannot be read, or describes no servers.
    """
    document = read_document(file, variables, file_names)
    context = Context(file.parent.absolute(), variables)
    engines = {}
    for name, part in _servers_in(document).items():
        engines[name] = "auto"
        for shared_or_own, keys in ((document, ["defaults", _ENGINE.name]), (part, [_ENGINE.name])):
            with suppress(UsageError):
                if (said := shared_or_own.find(keys)) is not None:
                    engines[name] = _ENGINE.read(said, context)
    return engines


def choose(servers: Sequence[Configured], names: Sequence[str]) -> tuple[Configured, ...]:
    """Returns the servers of these names, or all of them.

    Raises:
        UsageError: one is not there.
    """
    chosen = choose_names([server.spec.name for server in servers], names)
    return tuple(server for server in servers if server.spec.name in chosen)


def choose_names(known: Sequence[str], names: Sequence[str]) -> Sequence[str]:
    """Returns `names`, or all of those of a file where there are none.

    Raises:
        UsageError: one is not known.
    """
    for name in names:
        if name not in known:
            hint = did_you_mean(name, known) or f"There are: {', '.join(known)}."
            raise UsageError(f"The file describes no server {name!r}.", hint=hint)
    return names or known


def _servers_in(document: Part) -> dict[str, Part]:
    part = document.fields(_DOCUMENT).get("servers")
    if part is None:
        document.fail("the field servers is missing.", "Begin with: tfserve init MODEL_DIR")
    servers = part.fields("servers by name: a mapping")
    if not servers:
        part.fail("there is no server.", "Name one: servers: {NAME: {models: [MODEL_DIR]}}")
    return servers


def _server(name: str, place: ServerPlace, own: Mapping[str, Part], context: Context) -> Configured:
    part, defaults = place.part, place.defaults
    told(part, lambda: check_name(name, kind="server"))
    spec: dict[str, Any] = {}
    launch: dict[str, Any] = {}
    for known in FIELDS:
        given = [each[known.name] for each in (defaults, own) if known.name in each]
        for each in given:
            value = known.read(each, context)
            values = launch if known.launch else spec
            values[known.attribute] = _over(values.get(known.attribute), value, known)
    if "config" in own and "models" in own:
        own["config"].fail("config names the models, so models has to go.", "Leave one of them out.")
    if "config" in own:
        spec["config"] = tidy(context.directory / own["config"].text("the path of a models.config"))
        models = told(own["config"], lambda: read_models_config(spec["config"]))
    elif "models" in own:
        models = _models(name, own["models"], context)
    elif "image" in own:
        models = ()  # they are inside
    else:
        part.fail(
            "the field models is missing.", "Name them: models: [MODEL_DIR], or an image with models inside: image: …"
        )
    smoke_test = launch.pop("smoke_test", True)
    if isinstance(smoke_test, str):
        from tfserve.client.predict_request import read_request

        with about("smoke_test"):
            launch["smoke_request"] = read_request(smoke_test).body
    return Configured(
        ServeSpec(name=name, models=models, **spec),
        LaunchOptions(**launch, smoke_test=smoke_test is not False),
        part.line,
        place,
    )


def _over(default: Any, own: Any, field: Field) -> Any:
    """What a server's own field makes of the shared default: mappings are joined, everything else is replaced."""
    if isinstance(default, dict) and isinstance(own, dict):
        return {**default, **own}
    if field.attribute == "server_flags" and default:
        names = {flag.partition("=")[0] for flag in own}
        return (*(flag for flag in default if flag.partition("=")[0] not in names), *own)
    return own


def _models(server: str, part: Part, context: Context) -> tuple[ModelSpec, ...]:
    entries = part.items("a list of models")
    if not entries:
        part.fail("there is no model.", "Name one: models: [MODEL_DIR]")
    return tuple(_model(entry, server if len(entries) == 1 else None, context) for entry in entries)


def _model(entry: Part, name: str | None, context: Context) -> ModelSpec:
    if entry.kind != "mapping":
        source = _source(entry, "a path, or a model's fields", context)
        return told(entry, lambda: ModelSpec(source, _name_of(entry, source) if name is None else name))
    fields_ = entry.fields("a model's fields", MODEL_FIELDS)
    if "path" not in fields_:
        entry.fail("the field path is missing.", "Give the directory of the model: path: ./my_model")
    source = _source(fields_["path"], "a path", context)
    if "name" in fields_:
        name = fields_["name"].text("a model's name")
    versions = _versions(fields_["versions"]) if "versions" in fields_ else None
    labels = {}
    for label, version in fields_["labels"].fields("labels: a mapping").items() if "labels" in fields_ else ():
        number = integer(version, "the number of a version")
        told(version, lambda: parse_label(f"{label}={number}"))  # noqa: B023
        labels[label] = number
    sha256 = fields_["sha256"].text("a SHA-256 digest") if "sha256" in fields_ else None
    if name is None:
        name = _name_of(fields_["path"], source)
    return told(entry, lambda: ModelSpec(source, name, versions, labels, sha256))


def _source(part: Part, what: str, context: Context) -> Path | Url:
    text = part.text(what)
    source = told(part, lambda: parse_source(text))
    return source if isinstance(source, Url) else tidy(context.directory / source.expanduser())


def _versions(part: Part) -> VersionPolicy:
    what = "latest, latest=2, all, or a list of numbers"
    if part.kind == "sequence":
        text = ",".join(str(integer(item, "the number of a version")) for item in part.items(what))
    else:
        text = part.text(what)
    return told(part, lambda: VersionPolicy.parse(text))


def _name_of(part: Part, source: Path | Url) -> str:
    return told(part, lambda: source_name(source))


def _check_ports(servers: Sequence[Configured]) -> None:
    """Refuses a port that is asked for by number twice.

    Raises:
        UsageError: there is one.
    """
    taken: dict[int, list[tuple[str, Configured]]] = {}
    for server in servers:
        for attribute in ("rest_port", "grpc_port"):
            request: PortRequest = getattr(server.spec, attribute)
            if not (request.number and request.explicit):
                continue
            host = server.spec.host
            for other_host, other in taken.setdefault(request.number, []):
                if host == other_host or host in _EVERYWHERE or other_host in _EVERYWHERE:
                    raise server.placed(
                        UsageError(
                            f"port {request.number} is that of {other.spec.name!r} too, in line {other.line}.",
                            hint="Give each server ports of its own; 0 takes any free one.",
                            about=(attribute,),
                        )
                    )
            taken[request.number].append((host, server))

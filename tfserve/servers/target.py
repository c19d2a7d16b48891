"""Finds the server and the model of a request, and separates their name from the values that were typed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tfserve.client.model_ref import ModelRef
from tfserve.client.values import looks_like_value
from tfserve.defaults import Api, EngineChoice
from tfserve.engines.base import Server
from tfserve.errors import Attribute, NoSuchServerError, RequestError, UsageError, Wording
from tfserve.servers.lookup import check_running, find_server
from tfserve.text import did_you_mean

__all__ = ["Target", "find_target", "split_words"]


@dataclass(frozen=True)
class Target:
    """The server and the model that a request is for.

    Attributes:
        address: the address of the server's REST API, or of its gRPC API if that was chosen.
        model: the model, in its newest version.
    """

    address: str
    model: ModelRef


def find_target(
    name: str | None, *, url: str | None = None, api: Api = "rest", engine: EngineChoice = "auto"
) -> Target:
    """Finds the server and the model of a request.

    Args:
        name: the name of a model, of a server with one model, or ``SERVER/MODEL``; None for the only running server.
        url: the address of a server that tfserve did not start; `name` is then the name of the model.
        api: the API to use.
        engine: the engine whose servers are searched.

    Raises:
        NoSuchServerError: no such server exists, or it is stopped.
        RequestError: the server does not publish the API.
        UsageError: several servers or models match; or `url` was given without `name`.
    """
    if url is None:
        return _target(_find(name, engine), name, api)
    if name is None:
        raise UsageError(
            Wording("{url} requires the name of the model."), hint="Give it as the first word, before the values."
        )
    return Target(url, ModelRef(name))


def split_words(
    words: Sequence[str],
    *,
    url: str | None = None,
    api: Api = "rest",
    engine: EngineChoice = "auto",
    is_value: Callable[[str], bool] = looks_like_value,
) -> tuple[Target, tuple[str, ...]]:
    """Finds the server and the model of a request, and returns them with the words that are values.

    If the first word is not a name but looks like a value, all words are values for the only running server.

    Args:
        words: a name and values, or only values.
        url: see `find_target`.
        api: see `find_target`.
        engine: see `find_target`.
        is_value: returns whether a word looks like a value.

    Raises:
        TfserveError: see `find_target`.
    """
    name, values = (words[0], tuple(words[1:])) if words else (None, ())
    if url is not None:
        return find_target(name, url=url), values
    try:
        server = _find(name, engine)
    except NoSuchServerError:
        if name is None or not is_value(name):
            raise
        return find_target(None, api=api, engine=engine), tuple(words)
    return _target(server, name, api), values


def _find(name: str | None, engine: EngineChoice) -> Server:
    server, separator, _ = (name or "").partition("/")  # names do not contain a slash
    return find_server(
        server if separator else name, engine, by_model=not separator, among=lambda server: server.running
    )


def _target(server: Server, name: str | None, api: Api) -> Target:
    check_running(server)
    address = server.address(api)
    if address is None:
        raise RequestError(
            f"{server.name!r} does not publish its {'REST' if api == 'rest' else 'gRPC'} API.",
            hint=Wording(
                "It was started with {port}. Use {other} instead.",
                port=Attribute(f"{api}_port", "none"),
                other=Attribute("api", "grpc" if api == "rest" else "rest"),
            ),
        )
    return Target(address, ModelRef(_model_name(server, name)))


def _model_name(server: Server, name: str | None) -> str:
    """Returns the model of `server` that `name` denotes."""
    _, separator, model = (name or "").partition("/")
    if separator and model not in server.models:
        hint = did_you_mean(model, server.models, f"{server.name}/") or f"Its models are: {', '.join(server.models)}."
        raise UsageError(f"{server.name!r} has no model {model!r}.", hint=hint)
    if separator:
        return model
    if name in server.models:
        return str(name)
    if len(server.models) > 1:
        raise UsageError(
            f"{server.name!r} serves several models: {', '.join(server.models)}.",
            hint=f"Name one: {server.models[0]}, or {server.name}/{server.models[0]}",
        )
    return server.models[0]

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from tfserve.client.model_ref import ModelRef
from tfserve.engines.base import Server
from tfserve.engines.local.engine import LocalEngine
from tfserve.engines.local.server import LocalServer
from tfserve.errors import NoSuchServerError, RequestError, UsageError
from tfserve.servers import lookup
from tfserve.servers.target import Target, find_target, split_words

CREATED = datetime(2026, 1, 31, tzinfo=timezone.utc)
A = LocalServer("a", LocalEngine(), "running", ("m", "n"), CREATED, rest_url="http://a")
B = LocalServer("b", LocalEngine(), "running", ("b", "5"), CREATED, rest_url="http://b")
C = LocalServer("c", LocalEngine(), "running", ("d",), CREATED, rest_url="http://c")
STOPPED = replace(A, name="7", state="exited", models=("old",), rest_url=None)

Serve = Callable[..., None]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Returns a function that defines the existing servers."""

    def serve(*servers: Server) -> None:
        listing = lookup.Listing(servers)
        monkeypatch.setattr(lookup, "list_servers", lambda choice="auto": listing)

    return serve


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("c", Target("http://c", ModelRef("d"))),  # the only model of a server
        ("a/m", Target("http://a", ModelRef("m"))),
        ("n", Target("http://a", ModelRef("n"))),
        ("b", Target("http://b", ModelRef("b"))),
        ("5", Target("http://b", ModelRef("5"))),
    ],
)
def test_names(serve: Serve, name: str, target: Target) -> None:
    serve(A, B, C, STOPPED)
    assert find_target(name) == target
    assert split_words([name, "1", "-2"]) == (target, ("1", "-2"))
    assert split_words([name]) == (target, ())


def test_the_only_running_server(serve: Serve) -> None:
    serve(C, STOPPED)
    target = Target("http://c", ModelRef("d"))
    assert find_target(None) == target
    assert split_words([]) == (target, ())
    for value in ("1", "-.5", "-Infinity", "[1, 2]", "true", "@image.jpg"):
        assert split_words([value, "2"]) == (target, (value, "2"))


def test_a_word_that_is_neither_name_nor_value(serve: Serve) -> None:
    serve(A)
    with pytest.raises(NoSuchServerError, match="no server 'am'"):
        split_words(["am", "1"])
    with pytest.raises(NoSuchServerError, match="no server '1'"):
        find_target("1")  # here, no word can be a value


def test_a_server_of_several_models(serve: Serve) -> None:
    serve(A)
    for find in (lambda: find_target("a"), lambda: find_target(None), lambda: split_words(["1"])):
        with pytest.raises(UsageError, match="serves several models: m, n"):
            find()
    with pytest.raises(UsageError, match="no model 'k'"):
        find_target("a/k")


def test_a_value_for_several_servers(serve: Serve) -> None:
    serve(A, B)
    with pytest.raises(UsageError, match="several servers"):
        split_words(["1", "2"])
    with pytest.raises(UsageError, match="several servers"):
        find_target(None)


def test_stopped_server_is_not_mistaken_for_a_value(serve: Serve) -> None:
    serve(A, STOPPED)
    with pytest.raises(NoSuchServerError, match="'7' is stopped"):
        split_words(["7"])


def test_no_running_server(serve: Serve) -> None:
    serve(STOPPED)
    with pytest.raises(NoSuchServerError):
        find_target(None)
    with pytest.raises(NoSuchServerError):
        split_words(["1"])


def test_a_server_without_rest(serve: Serve) -> None:
    serve(replace(A, rest_url=None))
    with pytest.raises(RequestError, match="'a' does not publish its REST API"):
        find_target("a")


def test_url() -> None:
    assert find_target("1", url="host:1") == Target("host:1", ModelRef("1"))
    assert split_words(["1", "2"], url="host:1") == (Target("host:1", ModelRef("1")), ("2",))
    with pytest.raises(UsageError, match="requires the name of the model"):
        split_words([], url="host:1")


def test_grpc(serve: Serve) -> None:
    serve(replace(A, models=("m",), grpc_address="a:1"))
    assert find_target("m", api="grpc") == Target("a:1", ModelRef("m"))
    assert split_words(["1"], api="grpc") == (Target("a:1", ModelRef("m")), ("1",))
    serve(A)
    with pytest.raises(RequestError, match="does not publish its gRPC API"):
        find_target(None, api="grpc")
    assert find_target("m", api="grpc", url="host:1") == Target("host:1", ModelRef("m"))

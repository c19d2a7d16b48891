from __future__ import annotations

from pathlib import Path

import pytest

from tests.program import Plan
from tfserve.engines.local.engine import LocalEngine
from tfserve.errors import EngineUnavailableError, NoSuchServerError, UsageError
from tfserve.servers.lookup import find_server, find_servers, list_servers


@pytest.fixture(autouse=True)
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/no-docker.sock")


@pytest.fixture
def servers(engine: LocalEngine, python_plan: Plan) -> LocalEngine:
    """Three servers: alpha and beta are running, gamma is stopped."""
    for name in ("alpha", "beta", "gamma"):
        server = engine.launch(python_plan(name=name, models=(f"{name}-model",)))
    server.stop(grace=10)
    return engine


def test_without_docker_the_local_engine_is_searched(servers: LocalEngine) -> None:
    assert [(server.engine.name, server.name) for server in list_servers().servers] == [
        ("local", "alpha"),
        ("local", "beta"),
        ("local", "gamma"),
    ]
    assert len(list_servers("local").servers) == 3
    with pytest.raises(EngineUnavailableError, match="No Docker Engine answers"):
        list_servers("docker")
    assert "No Docker Engine answers" in str(list_servers().unavailable)


@pytest.mark.usefixtures("servers")
def test_by_name() -> None:
    assert find_server("beta").name == "beta"
    assert find_server("gamma", among=lambda server: server.running).name == "gamma"
    assert [server.name for server in find_servers(["beta", "alpha", "beta"])] == ["beta", "alpha"]


@pytest.mark.usefixtures("servers")
def test_by_model() -> None:
    assert find_server("beta-model", by_model=True).name == "beta"
    with pytest.raises(NoSuchServerError, match="'beta-model'"):
        find_server("beta-model")
    with pytest.raises(NoSuchServerError) as caught:
        find_server("bata-modle", by_model=True)
    assert "Did you mean beta-model?" in str(caught.value.hint)
    with pytest.raises(NoSuchServerError):
        find_server("gamma-model", by_model=True)  # it is stopped


def test_several_servers_of_one_model(engine: LocalEngine, python_plan: Plan) -> None:
    for name in ("a", "b"):
        engine.launch(python_plan(name=name))
    with pytest.raises(UsageError, match=r"There are several servers: a \(local\), b \(local\)"):
        find_server("m", by_model=True)


@pytest.mark.usefixtures("servers")
def test_without_a_name() -> None:
    with pytest.raises(
        UsageError, match=r"several servers: alpha \(local\), beta \(local\), gamma \(local\)"
    ) as caught:
        find_server(None)
    assert caught.value.exit_code == 2
    assert caught.value.hint == "Name one of them."
    assert find_server(None, among=lambda server: not server.running).name == "gamma"
    assert [server.name for server in find_servers(None, among=lambda server: not server.running)] == ["gamma"]
    with pytest.raises(NoSuchServerError, match="No server matches") as none:
        find_server(None, among=lambda server: False)
    assert "alpha, beta, gamma" in str(none.value.hint)


@pytest.mark.usefixtures("servers")
@pytest.mark.parametrize(("name", "hint"), [("betta", "Did you mean beta?"), ("zzz", "tfserve ps"), ("", "tfserve ps")])
def test_an_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(NoSuchServerError, match=f"There is no server {name!r}") as caught:
        find_server(name)
    assert caught.value.exit_code == 10
    assert hint in str(caught.value.hint)
    with pytest.raises(NoSuchServerError):
        find_servers(["alpha", name])


@pytest.mark.usefixtures("state_home")
def test_no_servers() -> None:
    assert list_servers().servers == ()
    for ask in (lambda: find_servers(None), lambda: find_servers([]), lambda: find_server(None)):
        with pytest.raises(NoSuchServerError, match=r"There is no server\.") as caught:
            ask()
        assert "tfserve run" in str(caught.value.hint)

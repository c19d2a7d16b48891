from __future__ import annotations

from typing import Any

import pytest
from docker.errors import APIError, NotFound

from tfserve.engines.docker import removal

NOT_EMPTY = 'container c: driver "overlay2" failed to remove root filesystem: unlinkat /x: directory not empty'


class FailingClient:
    """An engine's client whose first attempts to remove a container fail."""

    def __init__(self, *failures: APIError) -> None:
        self.failures = list(failures)
        self.removed: list[str] = []

    def inspect_container(self, container: str) -> dict[str, Any]:
        return {"Config": {"Labels": None}, "Image": "sha256:1"}

    def remove_container(self, container: str, **options: bool) -> None:
        assert options == {"force": True, "v": True}
        if self.failures:
            raise self.failures.pop(0)
        self.removed.append(container)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal, "_PAUSES", (0.0, 0.0))


def test_removal_is_retried_while_files_appear() -> None:
    client: Any = FailingClient(*[APIError("500", explanation=NOT_EMPTY)] * 2)
    removal.remove_container(client, "c")
    assert client.removed == ["c"]


def test_removal_fails_if_files_keep_appearing() -> None:
    client: Any = FailingClient(*[APIError("500", explanation=NOT_EMPTY)] * 3)
    with pytest.raises(APIError, match="500"):
        removal.remove_container(client, "c")


@pytest.mark.parametrize("error", [NotFound("404"), APIError("409", explanation="removal is already in progress")])
def test_a_container_that_another_process_removes(error: APIError) -> None:
    client: Any = FailingClient(error)
    removal.remove_container(client, "c")
    assert (client.removed, client.failures) == ([], [])


def test_other_failures_are_not_retried() -> None:
    client: Any = FailingClient(APIError("500", explanation="no space left on device"))
    with pytest.raises(APIError):
        removal.remove_container(client, "c")
    assert client.removed == []

from __future__ import annotations

import pytest

from tfserve.addresses import in_url, is_loopback, is_this_machine, reachable


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", True),
        ("::1", True),
        ("::1%lo", True),
        ("::ffff:127.0.0.1", True),
        ("::ffff:0.0.0.0", False),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("a.localhost", True),
        ("0.0.0.0", False),
        ("::", False),
    ],
)
def test_this_machine(host: str, loopback: bool) -> None:
    assert is_this_machine(host)
    assert is_loopback(host) == loopback


@pytest.mark.parametrize(
    "host", ["", "128.0.0.1", "::2", "::ffff:128.0.0.1", "localhost.example", "127.0.0.1.example", "a"]
)
def test_other_hosts(host: str) -> None:
    assert not is_this_machine(host)
    assert not is_loopback(host)


def test_addresses_in_urls() -> None:
    assert (in_url("::1"), in_url("127.0.0.1")) == ("[::1]", "127.0.0.1")
    assert (reachable("0.0.0.0", 80), reachable("::", 80)) == ("127.0.0.1:80", "[::1]:80")

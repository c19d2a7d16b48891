from __future__ import annotations

import socket

from tfserve.host.ports import any_free_port, claim, is_free, release


def test_port_in_use_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free("127.0.0.1", port)
        assert not is_free("0.0.0.0", port)
    assert is_free("127.0.0.1", port)


def test_closed_connections_are_ignored() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
        with socket.create_connection(address) as client:
            accepted, _ = listener.accept()
            accepted.close()  # the listener's side closes first, so it stays in TIME_WAIT
            assert client.recv(1) == b""
    assert is_free(*address)


def test_any_free_port() -> None:
    port = any_free_port("127.0.0.1")
    assert port > 0
    assert is_free("127.0.0.1", port)


def test_address_of_another_machine() -> None:
    assert not is_free("192.0.2.1", 8501)  # TEST-NET-1 of RFC 5737, which is never assigned
    assert any_free_port("192.0.2.1") == 0


def test_claims() -> None:
    assert claim(1)
    assert not claim(1)
    assert claim(2)
    release([1, None])
    assert claim(1)
    release([1, 2])

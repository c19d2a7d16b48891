from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.errors import UsageError
from tfserve.spec.gpus import GpuRequest


@pytest.mark.parametrize(
    ("text", "request_", "option", "visible"),
    [
        ("all", GpuRequest(), "all", "all"),
        ("2", GpuRequest(count=2), "2", "0,1"),
        ("0,2", GpuRequest(devices=("0", "2")), "device=0,2", "0,2"),
        (" 0, 2 ", GpuRequest(devices=("0", "2")), "device=0,2", "0,2"),
        ("device=1", GpuRequest(devices=("1",)), "device=1", "1"),
        ('"device=0,2"', GpuRequest(devices=("0", "2")), "device=0,2", "0,2"),
        ("GPU-a1b2", GpuRequest(devices=("GPU-a1b2",)), "device=GPU-a1b2", "GPU-a1b2"),
        ("MIG-a,MIG-b", GpuRequest(devices=("MIG-a", "MIG-b")), "device=MIG-a,MIG-b", "MIG-a,MIG-b"),
        ("MIG-GPU-a/7/0", GpuRequest(devices=("MIG-GPU-a/7/0",)), "device=MIG-GPU-a/7/0", "MIG-GPU-a/7/0"),
        ("device=0:1", GpuRequest(devices=("0:1",)), "device=0:1", "0:1"),
    ],
)
def test_parse(text: str, request_: GpuRequest, option: str, visible: str) -> None:
    parsed = GpuRequest.parse(text)
    assert (parsed, parsed.option) == (request_, option)
    assert parsed.environment["NVIDIA_VISIBLE_DEVICES"] == visible


@pytest.mark.parametrize("text", ["", " ", "0", "-1", "1.5", "none", "a,b", "device=", "GPU-$(id)", "0,0", "²", "٢"])
def test_invalid_text(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        GpuRequest.parse(text)
    assert "device=2 for a single one" in str(caught.value.hint)


@given(st.text(max_size=30))
def test_any_text(text: str) -> None:
    try:
        parsed = GpuRequest.parse(text)
    except UsageError:
        return
    assert all((character.isascii() and character.isalnum()) or character in "=,:/-" for character in parsed.option)

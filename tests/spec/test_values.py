from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.errors import UsageError
from tfserve.spec.values import check_name, valid_name


@given(st.text(max_size=140))
def test_suggestions_for_any_name_are_valid(name: str) -> None:
    check_name(valid_name(name), kind="server", attribute=None)
    try:
        check_name(name, kind="server", attribute="name")
    except UsageError as error:
        assert str(error.hint).endswith(f", for example name={valid_name(name)!r}")


def test_maximum_length() -> None:
    check_name("a" * 128, kind="server", attribute=None)
    with pytest.raises(UsageError, match="up to 128"):
        check_name("a" * 129, kind="server", attribute=None)


def test_valid_name() -> None:
    assert [valid_name(name) for name in ("a.b-c", "bad name é", "é", "")] == [
        "a.b-c",
        "bad_name",
        "my_model",
        "my_model",
    ]
    with pytest.raises(UsageError) as caught:
        check_name("a b", kind="server", attribute=None)
    assert caught.value.hint == "Choose another name, for example a_b"

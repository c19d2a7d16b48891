from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.errors import UsageError
from tfserve.spec.values import check_name, valid_name


@given(st.text(max_size=140))
def test_what_is_suggested_for_any_name_is_good(name: str) -> None:
    check_name(valid_name(name), kind="server", attribute=None)
    try:
        check_name(name, kind="server", attribute="name")
    except UsageError as error:
        assert str(error.hint).endswith(f", for example name={valid_name(name)!r}")


def test_a_long_name() -> None:
    check_name("a" * 128, kind="server", attribute=None)
    with pytest.raises(UsageError, match="up to 128"):
        check_name("a" * 129, kind="server", attribute=None)


def test_a_good_name_stays_and_a_bad_one_is_like_it() -> None:
    assert [valid_name(name) for name in ("a.b-c", "bad name é", "é", "")] == [
        "a.b-c",
        "bad_name",
        "my_model",
        "my_model",
    ]
    with pytest.raises(UsageError) as caught:
        check_name("a b", kind="server", attribute=None)
    assert caught.value.hint == "Choose another name, for example a_b"

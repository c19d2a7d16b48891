from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfserve.errors import UsageError
from tfserve.spec.versions import VersionPolicy, check_labels, check_versions, parse_label


@pytest.mark.parametrize(
    ("text", "policy", "served"),
    [
        ("latest", VersionPolicy(), (7,)),
        ("latest=1", VersionPolicy(), (7,)),
        ("latest=2", VersionPolicy(2), (3, 7)),
        ("latest=9", VersionPolicy(9), (1, 3, 7)),
        ("all", VersionPolicy(None), (1, 3, 7)),
        ("3", VersionPolicy(1, (3,)), (3,)),
        ("7,01,7", VersionPolicy(1, (1, 7)), (1, 7)),
        ("4", VersionPolicy(1, (4,)), ()),
    ],
)
def test_parse_policy(text: str, policy: VersionPolicy, served: tuple[int, ...]) -> None:
    assert VersionPolicy.parse(text) == policy
    assert policy.served((1, 3, 7)) == served


@given(
    st.builds(VersionPolicy, st.none() | st.integers(1, 10**9 - 1))
    | st.integers(0, 2**63 - 1).map(str).map(VersionPolicy.parse)
)
def test_policy_round_trip(policy: VersionPolicy) -> None:
    assert VersionPolicy.parse(str(policy)) == policy


@pytest.mark.parametrize(
    "text", ["", "newest", "latest=0", "latest=", "1,", "-1", "1;2", "1.5", "9" * 19, "all=2", "٣"]
)
def test_invalid_policies(text: str) -> None:
    with pytest.raises(UsageError, match="is not a valid choice of versions"):
        VersionPolicy.parse(text)


def test_labels() -> None:
    assert parse_label("canary=2") == ("canary", 2)
    assert parse_label("canary=") == ("canary", None)
    for text in ("canary", "=2", "a b=2", "a=b", "a/b=1", "a=" + "9" * 19):
        with pytest.raises(UsageError, match="is not a label of a version"):
            parse_label(text)
    check_labels("m", {"a": 1}, (1, 2))
    with pytest.raises(
        UsageError, match="'a' of the model 'm' is for version 3, which is not served; served versions: 1, 2"
    ):
        check_labels("m", {"a": 3}, (1, 2))


def test_unavailable_versions() -> None:
    assert check_versions("m", VersionPolicy(None), {"a": 1}, (1, 2)) == (1, 2)
    with pytest.raises(UsageError, match="has no version 3; it has 1, 2"):
        check_versions("m", VersionPolicy(1, (1, 3)), {}, (1, 2))
    with pytest.raises(UsageError, match="has no version 3; it has none"):
        check_versions("m", VersionPolicy(1, (3,)), {}, ())

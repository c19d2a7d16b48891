from __future__ import annotations

from tfserve.cli.signatures import signature_lines
from tfserve.models.saved_model import Signature, TensorSpec


def test_line_breaks_in_names_are_escaped() -> None:
    tensor = TensorSpec("DT_FLOAT", (-1, 3))
    signature = Signature("a\nmethod", {"x\ny": tensor}, {"out": TensorSpec("DT_STRING", None)})
    assert signature_lines({"a\nname": signature}) == [
        "  a\\nname  a\\nmethod",
        "    in   x\\ny  DT_FLOAT  (-1, 3)",
        "    out  out   DT_STRING  unknown rank",
    ]
    assert signature_lines({"empty": Signature("", {}, {})}) == ["  empty  no method"]

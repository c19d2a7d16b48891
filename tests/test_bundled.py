from __future__ import annotations

from pathlib import Path

import pytest

from tfserve.cli.commands.demo import bundled_model
from tfserve.errors import SavedModelError
from tfserve.models.saved_model import find_model, read_signatures


def test_half_plus_two_is_here(half_plus_two: Path) -> None:
    assert bundled_model("half_plus_two") == half_plus_two
    assert "serving_default" in read_signatures(find_model(half_plus_two).newest)


def test_half_plus_two_for_a_gpu_is_here(half_plus_two: Path) -> None:
    model = find_model(bundled_model("half_plus_two_gpu")).newest
    assert read_signatures(model) == read_signatures(find_model(half_plus_two).newest)
    assert b"/device:GPU:0" in (model.path / "saved_model.pb").read_bytes()


def test_another_model_is_not() -> None:
    with pytest.raises(SavedModelError, match="lacks the model 'resnet'") as caught:
        bundled_model("resnet")
    assert caught.value.hint

"""What needs the extra `tensorflow` says so."""

import importlib

import pytest

from lrlearn import tensorflow_only


def test_without_the_extra(monkeypatch):
    """TensorFlow may be there without the packages that come with the extra."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name: None if name in ("pandas", "tqdm") else find_spec(name),
    )
    with pytest.raises(ImportError, match="pip install 'lrlearn.tensorflow.'`. Rec"):
        importlib.reload(tensorflow_only)

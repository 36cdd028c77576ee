"""SharpnessAwareModel saved, loaded and resumed."""

import json

import keras
import numpy as np
import pytest

import lrlearn
from lrlearn.regularizers import GAM, GSAM, SAM, RhoSchedule
from tests.models.conftest import (
    assert_equal,
    go_on,
    same_model,
    sharpness_aware,
    train,
)

pytestmark = pytest.mark.any_backend


def _variables(model):
    return [v.numpy() for v in [*model.variables, *model.optimizer.variables]]


def _copy_seeds(source, target):
    """Copies the state of dropout, which Keras does not save for any model."""
    for a, b in zip(source.variables, target.variables, strict=True):
        if "seed" in a.path:
            b.assign(a.numpy())


@pytest.mark.parametrize(
    "make_optimizer",
    [
        lambda: keras.optimizers.Adam(0.01),
        lambda: lrlearn.LearnedOptimizer.from_preset("lo_none"),
    ],
    ids=["adam", "learned"],
)
def test_resume_is_exact(make_optimizer, tmp_path):
    """Saved and loaded in the middle, training ends the same, bit for bit."""
    models = [sharpness_aware(same_model("classifier")) for _ in range(2)]
    for model in models:
        train(model, "classifier", make_optimizer(), regularizer=GSAM(0.1))
    models[1].save(tmp_path / "model.keras")
    models[1] = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(models[1], lrlearn.SharpnessAwareModel)
    _copy_seeds(*models)
    histories = [go_on(model, "classifier") for model in models]
    assert histories[0] == histories[1]
    assert_equal(*map(_variables, models))


# Of the optimizer's state, as for any model: it was not used yet.
@pytest.mark.filterwarnings("ignore:Skipping variable loading")
@pytest.mark.parametrize(
    "arguments",
    [
        {"regularizer": GAM(0.2, variant="released")},
        {"regularizer": SAM(RhoSchedule(0.0, 0.1)), "start_fraction": 0.875},
        {"regularizer": "asam"},
        {},
    ],
    ids=["gam", "schedule", "name", "none"],
)
def test_arguments_of_compile_are_saved(arguments, tmp_path):
    """As JSON, with the model."""
    model = sharpness_aware(same_model("classifier"))
    model.compile("adam", "mse", **arguments)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    config = loaded.get_compile_config()
    for key in ("regularizer", "start_fraction"):
        assert config[key] == model.get_compile_config()[key]
    json.dumps(config)
    assert type(loaded.regularizer) is type(model.regularizer)


def test_a_model_without_compile_is_saved(tmp_path):
    """And predicts the same."""
    model = sharpness_aware(same_model("classifier"))
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert_equal(loaded.get_weights(), model.get_weights())
    assert loaded.regularizer is None


def test_weights_fit_the_plain_model(tmp_path):
    """Into the model that it was made from, and back."""
    plain, ours = same_model("classifier"), sharpness_aware(same_model("classifier"))
    ours.set_weights([w + 1 for w in ours.get_weights()])
    ours.save_weights(tmp_path / "a.weights.h5")
    plain.load_weights(tmp_path / "a.weights.h5")
    assert_equal(plain.get_weights(), ours.get_weights())


def test_clone_model():
    """A copy that can be compiled anew."""
    model = sharpness_aware(same_model("linear"))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    histories = [train(each, "linear", regularizer="sam") for each in (model, clone)]
    np.testing.assert_allclose(histories[0]["loss"], histories[1]["loss"], rtol=1e-6)

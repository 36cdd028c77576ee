"""Mixtures: the weighted mean of their members, at a fixed or a changing weight."""

import keras
import numpy as np
import pytest

from lrlearn import SharpnessAwareModel
from lrlearn.regularizers import L2, SAM, Mixture, RhoSchedule
from tests.regularizers.problems import Convex, values

RISING = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)


def _field_and_penalty(regularizer):
    problem = Convex()
    params = problem.params()
    _, field = regularizer.gradients(problem.loss_fn, params)
    return values(field), float(regularizer.penalty(problem.loss_fn, params))


def test_equals_the_weighted_mean():
    members = SAM(0.0), SAM(0.1), L2(0.3)
    fields, penalties = zip(*map(_field_and_penalty, members), strict=True)
    field, penalty = _field_and_penalty(Mixture([None, *members[1:]], [2.0, 1.0, 5.0]))
    shares = np.array([0.25, 0.125, 0.625])
    np.testing.assert_allclose(field, shares @ np.stack(fields), rtol=1e-12)
    np.testing.assert_allclose(penalty, shares @ penalties, rtol=1e-12)
    equal, _ = _field_and_penalty(Mixture(members))
    np.testing.assert_allclose(equal, np.mean(fields, axis=0), rtol=1e-12)


def test_no_member_adds_a_penalty():
    assert _field_and_penalty(Mixture([None]))[1] == 0.0


def test_schedules_follow_the_step():
    """Of weights, and of the members' radii."""
    sam = SAM(RhoSchedule(0.0, 1.0))
    mixture = Mixture([None, sam], [1.0, RISING])
    resolved = mixture.resolve(learning_rate=0.1, step=5)
    assert float(resolved.weights[1]) == pytest.approx(0.5)
    assert float(resolved.members[1].rho) == pytest.approx(0.1)
    assert resolved.resolve(0.1) is resolved
    expected, _ = _field_and_penalty(Mixture([None, SAM(0.1)], [1.0, 0.5]))
    np.testing.assert_allclose(_field_and_penalty(resolved)[0], expected, rtol=1e-6)
    with pytest.raises(ValueError, match="`weights` must be numbers here"):
        _field_and_penalty(Mixture([None, "sam"], [1.0, RISING]))


def test_shares_are_equal_where_all_weights_are_0():
    """As at the start of schedules that rise from 0 together."""
    members = [SAM(0.1), L2(0.3)]
    resolved = Mixture(members, [RISING, RISING]).resolve(learning_rate=0.1, step=0)
    expected = _field_and_penalty(Mixture(members))
    for found, value in zip(_field_and_penalty(resolved), expected, strict=True):
        np.testing.assert_allclose(found, value, rtol=1e-6)


def test_a_model_trains_with_it_and_keeps_it(tmp_path):
    """With a weight that rises from 0: the first step is plain."""
    x, y = np.random.default_rng(0).normal(size=(2, 16, 3)).astype("float32")

    def weights(regularizer, epochs, save=None):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((3,))
        model = SharpnessAwareModel(inputs, keras.layers.Dense(3)(inputs))
        model.compile("sgd", "mse", regularizer=regularizer)
        model.fit(x, y, epochs=epochs, batch_size=16, verbose=0)
        if save:
            model.save(save)
        return model.get_weights()[0]

    path = tmp_path / "model.keras"
    mixture = Mixture(["none", SAM(0.5)], [1.0, RISING])
    np.testing.assert_allclose(weights(mixture, 1), weights(None, 1), rtol=1e-6)
    assert np.abs(weights(mixture, 4, path) - weights(None, 4)).max() > 1e-4
    copy = keras.models.load_model(path).regularizer
    assert copy.get_config() == mixture.get_config()
    assert copy.members[0] is None and copy.members[1].rho == 0.5


@pytest.mark.parametrize(
    "arguments, message",
    [
        (([],), "`members` must be a list of one or more"),
        (("sam",), "`members` must be a list"),
        ((["sam", "sma"],), "`regularizer` must be one of"),
        ((["sam"], [1.0, 2.0]), "`weights` must be a list of 1"),
        ((["sam"], []), "`weights` must be a list of 1"),
        ((["sam", None], [1.0, -1.0]), "`weights` must be a finite number, at least"),
        ((["sam", None], [0.0, 0.0]), "`weights` must not all be 0"),
    ],
)
def test_arguments_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        Mixture(*arguments)

import keras
import numpy as np
import pytest
import tensorflow as tf

import lrlearn
from lrlearn.evaluation import SharpnessEvaluator, model_loss
from lrlearn.evaluation.stacked_sharpness import StackedSharpness
from tests.evaluation import quadratics

pytestmark = pytest.mark.long

EIGENVALUES = np.linspace(0.0, 1.0, 6)
COLUMNS = (
    "clean_loss",
    "max_loss",
    "increase",
    "max_gradient_norm",
    "surrogate_gap",
)


def _quadratic(params, state):
    """Two parameters; the state is the Hessian's diagonal."""
    w = tf.concat([tf.reshape(params[0], [-1]), params[1]], axis=0)
    return tf.reduce_sum(state[0] * w**2) / 2


def _stacked(dtype="float64"):
    rng = np.random.default_rng(0)
    w = rng.standard_normal((3, 6)).astype(dtype)
    a = (EIGENVALUES * np.array([[1.0], [2.0], [5.0]])).astype(dtype)
    return w, a, [w[:, :4].reshape(3, 2, 2), w[:, 4:]]


def test_matches_the_exact_maxima_of_quadratics():
    """In each kind of ball, with enough steps; the state belongs to its network."""
    w, a, params = _stacked()
    measure = StackedSharpness(_quadratic, (0.1, 1.0), (0.1,), (0.2,), steps=60)
    for w_k, a_k, records in zip(w, a, measure(params, [a]), strict=True):
        norm = np.linalg.norm(w_k)
        balls = [("fixed", 0.1), ("fixed", 1.0), ("relative", 0.1), ("adaptive", 0.2)]
        assert [(row["ball"], row["radius"]) for row in records] == balls
        for row in records:
            s = np.abs(w_k) if row["ball"] == "adaptive" else np.ones(6)
            r = row["radius"] * (norm if row["ball"] == "relative" else 1.0)
            # By e/s the Hessian is diag(s a s), still diagonal.
            h, g = s * a_k * s, s * a_k * w_k
            order = np.argsort(h)
            maximum = quadratics.maximum(h[order], g[order], r)
            clean = w_k @ (a_k * w_k) / 2
            assert row["clean_loss"] == pytest.approx(clean, rel=1e-9)
            assert row["increase"] == pytest.approx(maximum, rel=1e-3)
            assert row["increase"] <= maximum * (1 + 1e-9)
            assert row["max_loss"] == pytest.approx(clean + row["increase"], rel=1e-9)
            steepest = 2 * quadratics.maximum(h[order] ** 2, (h * g)[order], r) + g @ g
            # The search is one for a high loss, that is not the steepest point.
            assert 0.95 <= row["max_gradient_norm"] / np.sqrt(steepest) <= 1 + 1e-9
            e = r * g / np.linalg.norm(g)
            gap = g @ e + e @ (h * e) / 2
            assert row["surrogate_gap"] == pytest.approx(gap, rel=1e-9)


def test_one_step_is_sharpness_aware_minimizations():
    """And the second step follows the gradient found there."""
    w, a, params = _stacked()
    one, two = (
        StackedSharpness(_quadratic, (1.0,), (), (), steps=n)(params, [a])
        for n in (1, 2)
    )
    for w_k, a_k, (first,), (second,) in zip(w, a, one, two, strict=True):
        assert first["increase"] == first["surrogate_gap"] == second["surrogate_gap"]
        g = a_k * w_k
        g1 = a_k * (w_k + g / np.linalg.norm(g))
        e = g1 / np.linalg.norm(g1)
        rise = g @ e + e @ (a_k * e) / 2
        assert second["increase"] == pytest.approx(rise, rel=1e-9)
        points = (w_k, w_k + g / np.linalg.norm(g), w_k + e)
        norms = [np.linalg.norm(a_k * point) for point in points]
        assert first["max_gradient_norm"] == pytest.approx(max(norms[:2]), rel=1e-9)
        assert second["max_gradient_norm"] == pytest.approx(max(norms), rel=1e-9)


def test_small_rises_do_not_drown_in_rounding():
    """In float32, a rise of 1e-5 on a loss of 100."""
    measure = StackedSharpness(
        lambda w, _: 100.0 + tf.reduce_sum(w[0]),
        fixed=(1e-5,),
        relative=(),
        adaptive=(),
    )
    ((row,),) = measure([np.float32([[3.0]])], [])
    assert row["increase"] == pytest.approx(1e-5, rel=1e-4)


def test_maxima_grow_with_the_radius_within_a_kind():
    """In any order of the radii, where a search often ends in a worse wave."""
    a = np.random.default_rng(0).standard_normal((8, 3))
    radii = tuple(np.linspace(0.1, 3, 12))

    def waves(params, state):
        return tf.reduce_sum(tf.sin(9 * tf.linalg.matvec(a, params[0])))

    w = np.random.default_rng(1).standard_normal((2, 3))
    forwards, backwards = (
        StackedSharpness(waves, r, r, r, steps=1)([w], []) for r in (radii, radii[::-1])
    )
    for rows in forwards:
        for kind in ("fixed", "relative", "adaptive"):
            for column in ("max_loss", "increase", "max_gradient_norm"):
                grown = [row[column] for row in rows if row["ball"] == kind]
                assert np.all(np.diff(grown) >= 0)
    for row, other in zip(forwards[0][:12], backwards[0][11::-1], strict=True):
        assert row["increase"] == pytest.approx(other["increase"])
    gaps = [row["surrogate_gap"] for row in forwards[0][:12]]
    assert np.any(np.diff(gaps) < 0)


def test_points_that_are_not_finite_are_passed_over():
    """Beyond 1 the loss is infinite: a ball reaches there, and a centre lies there."""

    def wall(params, state):
        w = params[0][0]
        return tf.where(w > 1.0, float("inf"), 1.0) * w

    measure = StackedSharpness(wall, (0.1, 1.0), (), ())
    with pytest.warns(UserWarning, match="there, are not finite"):
        (small, large), nowhere = measure([np.float32([[0.5], [2.0]])], [])
    assert small["increase"] == pytest.approx(0.1)
    assert small["max_gradient_norm"] == pytest.approx(1.0)
    assert large["max_loss"] == small["max_loss"]
    assert large["surrogate_gap"] == float("inf")
    for row in nowhere:
        assert np.isnan([row[column] for column in COLUMNS]).all()


def _networks(kind):
    """Returns a model's loss, and three initialisations of its variables, stacked."""
    rng, layers = np.random.default_rng(0), keras.layers
    shape, units = ((6,), layers.Dense(5, "sigmoid"))
    if kind == "convolution":
        shape, units = ((6, 6, 2), layers.Conv2D(3, 3, activation="relu"))
    model = keras.Sequential(
        [keras.Input(shape), units, layers.BatchNormalization(), layers.Flatten()]
    )
    model.add(layers.Dense(4))
    x = rng.standard_normal((16, *shape)).astype("float32")
    y = rng.integers(0, 4, 16)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def values(variables):
        return [
            (np.abs(v.numpy()) + rng.uniform(0.1, 1, (3, *v.shape))).astype("float32")
            for v in variables
        ]

    stacked = values(model.trainable_variables), values(model.non_trainable_variables)
    return model_loss(model, x, y, loss), *stacked


@pytest.mark.parametrize("kind", ["dense", "convolution"])
def test_stacked_networks_are_those_one_by_one(kind):
    """To rounding, and where they share columns with `SharpnessEvaluator`'s."""
    loss_fn, params, state = _networks(kind)
    measure = StackedSharpness(loss_fn)
    together = measure(params, state)
    evaluator = SharpnessEvaluator(loss_fn, steps=1)
    for k, rows in enumerate(together):
        (alone,) = measure(
            [w[k : k + 1] for w in params], [s[k : k + 1] for s in state]
        )
        for row, other in zip(rows, alone, strict=True):
            for column in COLUMNS:
                assert row[column] == pytest.approx(other[column], rel=2e-4)
        table = evaluator([w[k] for w in params], [s[k] for s in state], radii=[0.1])
        for column in ("clean_loss", "surrogate_gap"):
            assert rows[3][column] == pytest.approx(table[column][0], rel=2e-4)


def test_is_compiled_once():
    """For all parameters and states of the same shapes."""
    calls = []

    def counted(params, state):
        calls.append(None)
        return _quadratic(params, state)

    measure = StackedSharpness(counted)
    _, a, params = _stacked()
    measure(params, [a])
    count = len(calls)
    measure([2 * w for w in params], [3 * a])
    assert len(calls) == count


def test_is_about_as_high_as_the_thorough_search():
    """On a trained network, at radii where the loss is no longer linear."""
    task = lrlearn.tasks.load("digits/mlp", train_size=200)
    training = lrlearn.evaluation.Training(task, keras.optimizers.Adam(0.01))
    training.run(200, seeds=0)
    params = [v.numpy() for v in training.model.trainable_variables]

    def loss_fn(params, state=()):
        return task.evaluate_loss(params, state, *task.train)[0]

    (rows,) = StackedSharpness(loss_fn, (0.05, 0.5), (), ())(
        [w[None] for w in params], []
    )
    strong = SharpnessEvaluator(loss_fn)(params, radii=[0.05, 0.5])
    for row, increase in zip(rows, strong["increase"], strict=True):
        assert 0.9 <= row["increase"] / increase <= 1.01


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fixed": (), "relative": (), "adaptive": ()}, "at least one radius"),
        ({"fixed": (-1.0,)}, "finite number >= 0. Received: fixed=-1.0"),
        ({"adaptive": (float("nan"),)}, "finite number >= 0. Received: adaptive=nan"),
        ({"steps": 0}, "`steps` must be an integer >= 1"),
    ],
)
def test_arguments_must_be_valid(arguments, message):
    """One line says the rule."""
    with pytest.raises(ValueError, match=message):
        StackedSharpness(_quadratic, **arguments)

"""What every estimator of the meta-gradient must do, and that they agree."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn.meta import ES, NRES, PES, FullTape, Replay, estimators
from lrlearn.meta.estimators.evolution import Pair
from lrlearn.meta.meta_objective import Start
from lrlearn.regularizers import GAM, GSAM, L2, SAM, value_and_gradients
from lrlearn.rules import (
    CoordinatewiseLSTM,
    PerParameterMLP,
    Run,
    ScheduledLSTM,
    ScheduledMLP,
)
from tests.meta.problems import (
    ADAM_RULE,
    RULE,
    fix_batches,
    flat,
    mlp,
    objective,
    quadratic,
    relative_error,
    start_of,
    theta_of,
)

ESTIMATORS = {
    "full_tape": FullTape(),
    "full_tape through features": FullTape(through_features=True),
    "replay": Replay(),
    "replay of some": Replay(coordinates=50),
    "replay in segments": Replay(coordinates=50, segment=3),
    "es": ES(),
    "pes": PES(),
    "nres": NRES(),
}
SEGMENTS = [1, 2, 3]  # of an unroll of 4 steps: 4, 2, and 2 of which one is filled up
REGULARIZERS = {
    "none": None,
    "sam": SAM(0.1),
    "gsam": GSAM(0.1),
    "gam algorithm2": GAM(),
    "gam released": GAM(variant="released"),
    "gam hvp": GAM(variant="hvp"),
    "l2": L2(0.1),
}
RULES = {
    "log/scaled": CoordinatewiseLSTM((3, 2)),
    "normalized/scaled": CoordinatewiseLSTM((3,), "normalized"),
    "normalized/adam": ADAM_RULE,
    "mlp": PerParameterMLP(units=4),
}
SCHEDULED = {
    "scheduled mlp": ScheduledMLP(units=4),
    "scheduled lstm": ScheduledLSTM(units=(3,)),
}
UNROLL = 4
SEED = tf.constant([3, 5])
START = Start(seed=1, steps=1000)


def _estimate(estimator, p, seed=SEED, start=None, **options):
    theta, start = theta_of(p.rule), start or estimator.start(p, START)

    def estimate(theta, optimizee, seed):
        return estimator.estimate(p, theta, optimizee, seed, UNROLL)

    if options:
        estimate = tf.function(estimate, autograph=False, **options)
    return estimate(theta, start, seed)


def _optimizees(state):
    return [state.plus, state.minus] if isinstance(state, Pair) else [state]


@pytest.mark.parametrize("estimator", ESTIMATORS.values(), ids=ESTIMATORS)
def test_contract(estimator):
    """Gradients like `theta`, the state in its structure, all of it by the seed."""
    p = objective(mlp(), regularizer=SAM())
    theta, start = theta_of(RULE), estimator.start(p, START)

    @tf.function(autograph=False)
    def estimate(seed):
        return _estimate(estimator, p, seed, start)

    first, again = estimate(SEED), estimate(SEED)
    assert {k: v.shape for k, v in first.gradient.items()} == {
        k: v.shape for k, v in theta.items()
    }
    assert np.all(np.isfinite(flat(first.gradient)))
    assert np.any(flat(first.gradient))
    tf.nest.assert_same_structure(first.optimizee, start)
    assert {int(o.step) for o in _optimizees(first.optimizee)} == {UNROLL}
    assert first.losses.shape == (UNROLL,)
    assert np.all(np.isfinite(first.losses)) and np.isfinite(first.meta_loss)
    for one, other in zip(tf.nest.flatten(first), tf.nest.flatten(again), strict=True):
        np.testing.assert_array_equal(one, other)
    other = estimate(SEED + 1)
    assert relative_error(other.gradient, first.gradient) > 0.01


@pytest.mark.parametrize("name", sorted(ESTIMATORS.keys() - {"pes", "nres"}))
def test_the_optimizee_runs_on_along_theta(name):
    """On the same path for all; those that differentiate log its losses."""
    p = objective(mlp(), regularizer=SAM())
    reference, estimate = (_estimate(e, p) for e in (FullTape(), ESTIMATORS[name]))
    np.testing.assert_array_equal(estimate.optimizee.w, reference.optimizee.w)
    if name != "es":
        np.testing.assert_array_equal(estimate.losses, reference.losses)
        expected = np.mean(np.log(estimate.losses))
        np.testing.assert_allclose(estimate.meta_loss, expected, rtol=1e-6)


@pytest.mark.parametrize(
    "estimator",
    [
        Replay(50),
        Replay(50, segment=3),
        PES(0.1),
        pytest.param(ES(0.1), marks=pytest.mark.slow),
        pytest.param(FullTape(), marks=pytest.mark.slow),
        pytest.param(FullTape(through_features=True), marks=pytest.mark.slow),
    ],
    ids=[
        "replay of some",
        "replay in segments",
        "pes",
        "es",
        "full_tape",
        "full_tape through features",
    ],
)
def test_eager_graph_and_xla_agree(estimator):
    """The same estimate as plain Python, as a graph and compiled by XLA."""
    p = objective()
    eager = _estimate(estimator, p)
    for jit_compile in (False, True):
        graph = _estimate(estimator, p, jit_compile=jit_compile)
        assert relative_error(graph.gradient, eager.gradient) < 1e-4
        np.testing.assert_allclose(graph.losses, eager.losses, rtol=1e-5)


def test_xla_compiles_transposes():
    """Of what layers with parameters return; GRUs have them, too."""
    layers = keras.layers
    p = objective(
        mlp(
            lambda: layers.Dense(3),
            lambda: layers.Reshape((3, 1)),
            lambda: layers.Permute((2, 1)),
            layers.Flatten,
        )
    )
    eager = _estimate(FullTape(), p)
    compiled = _estimate(FullTape(), p, jit_compile=True)
    assert relative_error(compiled.gradient, eager.gradient) < 1e-4


@pytest.mark.parametrize("regularizer", REGULARIZERS.values(), ids=REGULARIZERS)
@pytest.mark.parametrize("meta_loss", ["log", "loss"])
def test_replay_is_full_tape_for_every_regularizer(regularizer, meta_loss):
    """To 1e-5, also where the field is the gradient of no function."""
    p = objective(mlp(), regularizer=regularizer, meta_loss=meta_loss)
    full, replay = _estimate(FullTape(), p), _estimate(Replay(segment=2), p)
    assert relative_error(replay.gradient, full.gradient) < 1e-5


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("meta_split", ["train", "validation"])
@pytest.mark.parametrize("segment", SEGMENTS)
def test_replay_is_full_tape_for_every_rule(rule, meta_split, segment):
    """To 1e-5, on training and on held-out batches, however it is cut."""
    p = objective(mlp(), rule, regularizer=SAM(), meta_split=meta_split)
    full = _estimate(FullTape(), p)
    replay = _estimate(Replay(segment=segment), p)
    assert relative_error(replay.gradient, full.gradient) < 1e-5


def _loss_by_hand(task, w):
    """The cross-entropy of digits' first batch; `w` is kernel, bias, kernel, bias."""
    x, y = (array[: task.batch_size] for array in task.train)
    parts = tf.split(w, [64 * 4, 4, 4 * 10, 10])
    hidden = tf.tanh(tf.reshape(x, (-1, 64)) @ tf.reshape(parts[0], (64, 4)) + parts[1])
    logits = hidden @ tf.reshape(parts[2], (4, 10)) + parts[3]
    log_p = tf.nn.log_softmax(logits)
    return -tf.reduce_mean(tf.gather(log_p, y, batch_dims=1))


def _train_by_hand(rule, theta, task, w, meta_loss, constant=tf.stop_gradient):
    """Returns the sum of the meta-losses after each of some steps of the rule."""
    shapes = [(64, 4), (4,), (4, 10), (10,)]
    told = {"run": Run(START.steps, epochs=START.steps * 32 / 1000)}
    state, total = rule.initial_state(shapes), 0.0
    for step in range(1, UNROLL + 1):
        _, (g,) = value_and_gradients(lambda w: _loss_by_hand(task, w[0]), [w])
        arguments = theta, constant(g), constant(w), state, step, shapes
        d, state = rule.update(*arguments, **told)
        w = w + d
        total += meta_loss(lambda w: _loss_by_hand(task, w), w)
    return total


def _plain(loss_fn, w):
    return loss_fn(w)


def _log(loss_fn, w):
    return tf.math.log(loss_fn(w))


def _sam(loss_fn, w):
    _, (g,) = value_and_gradients(lambda w: loss_fn(w[0]), [w])
    return loss_fn(w + tf.stop_gradient(0.1 * g / tf.norm(g)))


def _sam_over_loss(loss_fn, w):
    return _sam(loss_fn, w) / tf.stop_gradient(loss_fn(w))


@pytest.mark.parametrize(
    "rule", [*RULES.values(), *SCHEDULED.values()], ids=[*RULES, *SCHEDULED]
)
@pytest.mark.parametrize(
    ("meta_loss", "arguments"),
    [
        (_plain, {"meta_loss": "loss"}),
        (_log, {"meta_loss": "log"}),
        (_sam, {"meta_loss": "loss", "regularizer": SAM(0.1)}),
        (_sam_over_loss, {"meta_loss": "log", "regularizer": SAM(0.1)}),
    ],
    ids=["plain", "log", "sam", "sam over loss"],
)
def test_full_tape_equals_a_loop_by_hand(meta_loss, arguments, rule):
    """One tape over eager steps and the true meta-loss, written out."""
    task = fix_batches(mlp())
    p, theta = objective(task, rule, **arguments), theta_of(rule)
    with tf.GradientTape() as tape:
        tape.watch(theta)
        total = _train_by_hand(rule, theta, task, start_of(p, 1).w[:310], meta_loss)
    expected = tape.gradient(total, theta)
    assert relative_error(_estimate(FullTape(), p).gradient, expected) < 1e-4


def test_through_features_equals_a_loop_by_hand():
    """With no `stop_gradient` the tape holds second derivatives, too."""
    task, theta = fix_batches(mlp()), theta_of(ADAM_RULE)
    p = objective(task, ADAM_RULE)
    with tf.GradientTape() as tape:
        tape.watch(theta)
        total = _train_by_hand(
            ADAM_RULE, theta, task, start_of(p, 1).w[:310], _log, tf.identity
        )
    expected = tape.gradient(total, theta)
    full = _estimate(FullTape(through_features=True), p)
    assert relative_error(full.gradient, expected) < 1e-3
    assert relative_error(_estimate(FullTape(), p).gradient, expected) > 0.01


def test_through_features_is_the_derivative_of_the_meta_loss():
    """Its norm is the meta-loss's slope along it; that of constant features is not."""
    rule = CoordinatewiseLSTM((3,), "normalized", output_scale=0.3)
    p, theta = objective(quadratic(), rule, meta_loss="loss"), theta_of(rule)

    def norm_and_slope(estimator):
        def estimate(theta):
            start = start_of(p, 1)
            return estimator.estimate(p, theta, start, SEED, steps=8)

        gradient = estimate(theta).gradient
        norm, epsilon = np.linalg.norm(flat(gradient)), 3e-3
        high, low = (
            estimate({k: theta[k] + step * gradient[k] / norm for k in theta})
            for step in (epsilon, -epsilon)
        )
        return norm, 8 * float(high.meta_loss - low.meta_loss) / (2 * epsilon)

    norm, slope = norm_and_slope(FullTape(through_features=True))
    np.testing.assert_allclose(norm, slope, rtol=1e-3)
    norm, slope = norm_and_slope(FullTape())
    assert abs(norm - slope) > 0.02 * norm


def test_replay_of_some_coordinates_is_unbiased():
    """Its mean over seeds is the full gradient, within four standard errors."""
    p, theta = objective(), theta_of(RULE)
    full = flat(_estimate(Replay(), p).gradient)
    start = start_of(p, 1)

    @tf.function(autograph=False)
    def estimate(seed):
        return Replay(30).estimate(p, theta, start, seed, UNROLL).gradient

    draws = np.stack([flat(estimate(tf.constant([7, i]))) for i in range(400)])
    error = draws.std(axis=0) / np.sqrt(len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - full) < 4 * error + 1e-6)
    assert np.any(error > 1e-3 * np.abs(full).max())


def test_replay_of_as_many_coordinates_as_there_are():
    """Nothing is drawn: the same as no sampling."""
    p = objective()
    full = _estimate(Replay(), p)
    for coordinates in (320, 1000):
        same = _estimate(Replay(coordinates), p)
        assert relative_error(same.gradient, full.gradient) == 0.0


def test_get():
    """Names, instances, and a message that lists the names."""
    assert isinstance(estimators.get("full_tape"), FullTape)
    replay = Replay(5)
    assert estimators.get(replay) is replay
    assert estimators.names() == ["es", "full_tape", "nres", "pes", "replay"]
    with pytest.raises(ValueError, match=r"one of \('es', .*'replay'\).*'tape'"):
        estimators.get("tape")
    with pytest.raises(ValueError, match="`coordinates` must be an integer >= 1"):
        Replay(0)
    with pytest.raises(ValueError, match="`segment` must be an integer >= 1"):
        Replay(segment=0)

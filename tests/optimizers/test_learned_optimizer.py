"""LearnedOptimizer: its updates, in every way Keras can ask for them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.optimizers.conftest import GRADIENTS, RULES, W, apply, by_hand


def _close(received, expected):
    np.testing.assert_allclose(received, expected, rtol=1e-5, atol=1e-7)


# fit


def _fit_by_hand(rule, model, data, epochs):
    """Returns the weights after a loop over the rule, with Keras's batches."""
    loss = keras.losses.BinaryCrossentropy()
    theta, weights = rule.init_theta(seed=1), model.trainable_variables
    states, step = [rule.initial_state([tuple(w.shape)]) for w in weights], 0
    for _ in range(epochs):
        for x, y in zip(*(np.split(array, 3) for array in data), strict=True):
            step += 1
            with tf.GradientTape() as tape:
                value = loss(y, model(x))
            for i, g in enumerate(tape.gradient(value, [w.value for w in weights])):
                g, w = np.ravel(g), np.ravel(weights[i])
                shapes = [tuple(weights[i].shape)]
                d, states[i] = rule.update(theta, g, w, states[i], step, shapes)
                weights[i].assign((w + d.numpy()).reshape(weights[i].shape))
    return model.get_weights()


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize("mode", ["eager", "graph", "jit"])
def test_fit_is_a_loop_over_the_rule(make_model, make_optimizer, fit, data, rule, mode):
    """The optimizer adds nothing to the rule, and forgets nothing."""
    model = make_model()
    model.compile(
        make_optimizer(),
        "binary_crossentropy",
        run_eagerly=mode == "eager",
        jit_compile=mode == "jit",
    )
    before = model.get_weights()
    fit(model, epochs=3)
    expected = _fit_by_hand(rule, make_model(), data, epochs=3)
    for start, received, value in zip(
        before, model.get_weights(), expected, strict=True
    ):
        _close(received, value)
        assert np.abs(value - start).max() > 1e-3


def test_fit_under_a_strategy(make_model, make_optimizer, fit):
    """tf.distribute's way to update variables gives the same."""
    losses, mirrored = [], tf.distribute.MirroredStrategy(["CPU:0"])
    for strategy in (tf.distribute.get_strategy(), mirrored):
        with strategy.scope():
            model = make_model()
            model.compile(make_optimizer(), "binary_crossentropy")
        losses.append(fit(model, epochs=2))
    _close(*losses)


def test_first_use_inside_a_graph(make_optimizer):
    """State can be made while a function is traced."""
    optimizer, variable = make_optimizer(), keras.Variable(W)

    @tf.function
    def step(g):
        optimizer.apply([g], [variable])

    for g in GRADIENTS:
        step(tf.constant(g))
    _close(variable, apply(make_optimizer(), GRADIENTS)[-1])


def test_models_do_not_share_state(make_model, make_optimizer, fit):
    """Two models trained in turn do as each does alone."""
    models = [make_model() for _ in range(3)]
    for model in models:
        model.compile(make_optimizer(), "binary_crossentropy", run_eagerly=True)
    in_turn = [[fit(model)[0] for model in models[:2]] for _ in range(2)]
    alone = fit(models[2], epochs=2)
    np.testing.assert_array_equal(in_turn, np.transpose([alone, alone]))


def test_recompile_goes_on(make_model, make_optimizer, fit):
    """A second `compile` with the same optimizer keeps its state."""
    plain, recompiled = make_model(), make_model()
    plain.compile(make_optimizer(), "binary_crossentropy")
    optimizer = make_optimizer()
    losses = []
    for _ in range(2):
        recompiled.compile(optimizer, "binary_crossentropy")
        losses += fit(recompiled)
    np.testing.assert_array_equal(losses, fit(plain, epochs=2))
    assert int(optimizer.iterations) == 6


def test_one_optimizer_serves_one_model(make_optimizer):
    """As with every Keras optimizer."""
    optimizer = make_optimizer()
    apply(optimizer, GRADIENTS)
    with pytest.raises(ValueError, match="Unknown variable"):
        apply(optimizer, GRADIENTS)


# Keras's arguments


@pytest.mark.parametrize("learning_rate", [1, 0.25, np.float32(2.0)])
def test_learning_rate_multiplies_the_step(make_optimizer, rule, learning_rate):
    """Integers too."""
    received = apply(make_optimizer(learning_rate=learning_rate), GRADIENTS)
    _close(received, by_hand(rule, GRADIENTS, W, [float(learning_rate)] * 3))


def test_learning_rate_can_be_set(make_optimizer, rule):
    """Also after the first step."""
    optimizer, variable = make_optimizer(), keras.Variable(W)
    for g, lr in zip(GRADIENTS, (1, 0.5, 0), strict=True):
        optimizer.learning_rate = lr
        optimizer.apply([g], [variable])
    _close(variable, by_hand(rule, GRADIENTS, W, [1.0, 0.5, 0.0])[-1])


def test_schedule(make_optimizer, rule):
    """The schedule sees the iteration."""
    rates = [1.0, 0.5, 2.0]
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0, 1], rates)
    received = apply(make_optimizer(learning_rate=schedule), GRADIENTS)
    _close(received, by_hand(rule, GRADIENTS, W, rates))


def test_weight_decay_is_multiplied_by_the_learning_rate(make_optimizer, rule):
    """It acts before the rule, which sees the decayed parameter."""
    optimizer = make_optimizer(weight_decay=0.1, learning_rate=0.5)
    expected = by_hand(rule, GRADIENTS, W, [0.5] * 3, decay=0.1)
    _close(apply(optimizer, GRADIENTS), expected)


@pytest.mark.parametrize(
    ("argument", "clip"),
    [
        ("clipnorm", lambda g: g / max(1.0, np.linalg.norm(g) / 0.5)),
        ("global_clipnorm", lambda g: g / max(1.0, np.linalg.norm(g) / 0.5)),
        ("clipvalue", lambda g: np.clip(g, -0.5, 0.5)),
    ],
)
def test_clipping(make_optimizer, rule, argument, clip):
    """The rule sees the clipped gradient."""
    received = apply(make_optimizer(**{argument: 0.5}), GRADIENTS)
    _close(received, by_hand(rule, [clip(g) for g in GRADIENTS], W))


def test_gradient_accumulation(make_optimizer, rule):
    """Two half batches make one step of the rule."""
    gradients = np.float32([GRADIENTS[0], GRADIENTS[1], GRADIENTS[2], GRADIENTS[0]])
    received = apply(make_optimizer(gradient_accumulation_steps=2), gradients)
    first, second = by_hand(rule, gradients.reshape(2, 2, 3).mean(axis=1), W)
    _close(received, [W, first, first, second])


def test_moving_average(make_optimizer, rule):
    """`use_ema` averages what the rule makes."""
    optimizer, variable = (
        make_optimizer(use_ema=True, ema_momentum=0.5),
        keras.Variable(W),
    )
    for g in GRADIENTS:
        optimizer.apply([g], [variable])
    first, second, third = by_hand(rule, GRADIENTS, W)
    _close(variable, third)
    optimizer.finalize_variable_values([variable])
    _close(variable, 0.25 * first + 0.25 * second + 0.5 * third)


def test_constraint(make_optimizer):
    """A variable's constraint holds after each step."""
    variable = keras.Variable(np.abs(W))
    variable.constraint = keras.constraints.NonNeg()
    make_optimizer(learning_rate=1000.0).apply([tf.constant(GRADIENTS[0])], [variable])
    assert variable.numpy().min() == 0 < variable.numpy().max()


def test_loss_scale_factor(make_optimizer, rule):
    """Gradients of a scaled loss are scaled back."""
    received = apply(make_optimizer(loss_scale_factor=1024.0), 1024 * GRADIENTS)
    _close(received, by_hand(rule, GRADIENTS, W))


def test_mixed_precision(make_model, make_optimizer, fit):
    """Float16 layers under LossScaleOptimizer learn, with float32 state."""
    model, reference = make_model("mixed_float16"), make_model()
    optimizer = make_optimizer()
    model.compile(
        keras.mixed_precision.LossScaleOptimizer(optimizer), "binary_crossentropy"
    )
    reference.compile(make_optimizer(), "binary_crossentropy")
    losses, expected = fit(model, epochs=5), fit(reference, epochs=5)
    np.testing.assert_allclose(losses, expected, rtol=2e-3)
    assert losses[-1] < losses[0]
    assert {v.dtype for v in optimizer.variables} == {"float32", "int64"}


def test_an_infinite_gradient_is_skipped_under_loss_scaling(make_optimizer):
    """Neither the parameters nor the rule's state see it."""
    optimizer, variable = make_optimizer(), keras.Variable(W)
    scaled = keras.mixed_precision.LossScaleOptimizer(optimizer)
    scaled.build([variable])
    before = [v.numpy() for v in optimizer.variables]
    scaled.apply([tf.constant([1.0, np.inf, 0.0])], [variable])
    np.testing.assert_array_equal(variable, W)
    for old, new in zip(before, optimizer.variables, strict=True):
        np.testing.assert_array_equal(old, new)


# Kinds of variables and gradients


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_variables_of_other_types(make_optimizer, rule, dtype):
    """The rule runs in float32; its step is rounded to the variable's type."""
    optimizer, variable = make_optimizer(), keras.Variable(W, dtype=dtype)
    g = tf.cast(GRADIENTS[0], dtype)
    optimizer.apply([g], [variable])
    (expected,) = by_hand(rule, [tf.cast(g, "float32").numpy()], W)
    assert variable.dtype == dtype
    tolerance = 2e-2 if dtype == "bfloat16" else 2e-3
    np.testing.assert_allclose(tf.cast(variable, "float32"), expected, rtol=tolerance)
    assert {v.dtype for v in optimizer.variables[1:]} == {"float32"}


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (1,), (2, 1, 3)])
def test_variables_of_any_shape(make_optimizer, rule, shape):
    """Each element is a coordinate of its own."""
    rng = np.random.default_rng(0)
    w, g = (rng.normal(size=shape).astype("float32") for _ in range(2))
    received = apply(make_optimizer(), [g, -g], w)
    expected = by_hand(rule, [g.ravel(), -g.ravel()], w.ravel())
    assert received[-1].shape == shape
    _close([value.ravel() for value in received], expected)


@pytest.mark.parametrize("clipnorm", [None, 0.5])
def test_sparse_gradients_act_as_dense_ones(make_optimizer, clipnorm):
    """Repeated indices add up before they are clipped; state moves in all rows."""
    table = np.float32([[1, 2], [3, 4], [5, 6], [7, 8]])
    values = tf.constant([[0.3, 0.1], [0.5, -1.0], [0.4, 0.2]])
    sparse = tf.IndexedSlices(values, tf.constant([2, 0, 2]), tf.constant([4, 2]))
    dense = tf.constant([[0.5, -1.0], [0.0, 0.0], [0.7, 0.3], [0.0, 0.0]])
    variables = [keras.Variable(table) for _ in range(2)]
    for g, variable in zip((sparse, dense), variables, strict=True):
        optimizer = make_optimizer(clipnorm=clipnorm)
        for _ in range(3):
            optimizer.apply([g], [variable])
    np.testing.assert_array_equal(*variables)
    assert (variables[0].numpy() != table).all()


def test_embedding_model(make_optimizer):
    """`fit` hands sparse gradients over."""
    x, y = np.array([[1, 1], [2, 0], [1, 2]]), np.float32([[1], [0], [1]])
    layers = [
        keras.layers.Embedding(3, 2),
        keras.layers.Flatten(),
        keras.layers.Dense(1),
    ]
    model = keras.Sequential(layers)
    model.compile(make_optimizer(clipnorm=1.0), "mse")
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_missing_gradient_leaves_a_variable_alone(make_optimizer, rule):
    """Keras warns, and the other variables move."""
    used, unused = keras.Variable(W), keras.Variable(W)
    with pytest.warns(UserWarning, match="Gradients do not exist"):
        make_optimizer().apply([GRADIENTS[0], None], [used, unused])
    np.testing.assert_array_equal(unused, W)
    _close(used, by_hand(rule, GRADIENTS[:1], W)[0])

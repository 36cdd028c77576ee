"""A Task's loss is the model's, for any Keras model, inside a graph too."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from lrlearn.tasks import Task

LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sequential():
    return keras.Sequential([layers.Dense(5, "tanh"), layers.Dense(3)])


def functional(rate=0.5):
    inputs = keras.Input((4,))
    x = layers.Dense(5, "relu", kernel_regularizer=keras.regularizers.L2(0.1))(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Dropout(rate)(x)
    return keras.Model(inputs, layers.Dense(3, activity_regularizer="l2")(x))


class Subclassed(keras.Model):
    """`training` is implied for its layers, and it adds a loss."""

    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(5, "relu", kernel_regularizer="l1")
        self.norm = layers.BatchNormalization()
        self.dropout = layers.Dropout(0.5)
        self.head = layers.Dense(3)

    def call(self, x, training=None):
        h = self.dropout(self.norm(self.hidden(x)))
        self.add_loss(0.01 * keras.ops.sum(keras.ops.square(h)))
        return self.head(h)


MODELS = [sequential, functional, Subclassed]


def make_task(model_fn=sequential, n=40, **kwargs):
    rng = np.random.default_rng(0)
    data = rng.normal(size=(n, 4)).astype("float32"), rng.integers(0, 3, n)
    return Task(model_fn, kwargs.pop("loss", LOSS), train=data, **kwargs)


def keras_model(task, params, state):
    """Returns a separate Keras model with these values."""
    model = task.model_fn()
    model(task.train[0][:1])
    for v, value in zip(model.trainable_variables, params, strict=True):
        v.assign(value)
    for v, value in zip(model.non_trainable_variables, state, strict=True):
        v.assign(value)
    return model


@pytest.mark.parametrize("model_fn", MODELS)
@pytest.mark.parametrize("training", [False, True])
def test_loss_outputs_and_state_are_those_of_the_model(model_fn, training):
    task = make_task(model_fn)
    params, state = task.init(seed=1)
    x, y = task.train
    model = keras_model(task, params, state)
    before = [v.numpy() for v in task.model.variables]

    loss, outputs, new_state = task.evaluate_loss(params, state, x, y, training)

    expected = model(x, training=training)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    log_p = tf.nn.log_softmax(expected).numpy()[np.arange(len(y)), y]
    penalties = sum(float(p) for p in model.losses)
    np.testing.assert_allclose(loss, -log_p.mean() + penalties, rtol=1e-6)
    assert loss.dtype == tf.float32 and loss.shape == ()
    for v, value in zip(model.non_trainable_variables, new_state, strict=True):
        np.testing.assert_allclose(value, v.numpy(), rtol=1e-6)
    for v, value in zip(task.model.variables, before, strict=True):
        np.testing.assert_array_equal(v.numpy(), value)


@pytest.mark.parametrize("model_fn", MODELS)
def test_loss_is_that_of_evaluate(model_fn):
    task = make_task(model_fn)
    params, state = task.init(seed=2)
    model = keras_model(task, params, state)
    model.compile(loss=LOSS)
    expected = model.evaluate(*task.train, batch_size=40, verbose=0)
    loss, _, _ = task.evaluate_loss(params, state, *task.train)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)


def without_dropout():
    """XLA draws other dropout masks than TensorFlow does."""
    return functional(rate=0.0)


@pytest.mark.parametrize(
    "model_fn, jit_compile",
    [*((m, False) for m in MODELS), (sequential, True), (without_dropout, True)],
)
def test_training_in_a_while_loop_is_training_of_the_model(model_fn, jit_compile):
    """Five steps of SGD through the graph equal a loop over `model(x)`."""
    task = make_task(model_fn, batch_size=16)
    params, state = task.init(seed=3)

    @tf.function(jit_compile=jit_compile)
    def train(params, state):
        def step(i, params, state):
            x, y = task.batch("train", tf.stack([5, i]))
            with tf.GradientTape() as tape:
                tape.watch(params)
                loss, _, state = task.evaluate_loss(params, state, x, y, training=True)
            gradients = tape.gradient(loss, params)
            params = [w - 0.1 * g for w, g in zip(params, gradients, strict=True)]
            return i + 1, params, state

        return tf.while_loop(
            lambda i, *_: i < 5, step, (0, params, state), maximum_iterations=5
        )

    tensors = [[tf.constant(a) for a in part] for part in (params, state)]
    _, new_params, new_state = train(*tensors)

    model = keras_model(task, params, state)
    for i in range(5):
        x, y = task.batch("train", [5, i])
        with tf.GradientTape() as tape:
            loss = LOSS(y, model(x, training=True)) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_weights)
        for w, g in zip(model.trainable_weights, gradients, strict=True):
            w.assign_sub(0.1 * g)
    assert np.abs(params[0] - new_params[0]).max() > 1e-3
    for values, variables in (
        (new_params, model.trainable_variables),
        (new_state, model.non_trainable_variables),
    ):
        for value, v in zip(values, variables, strict=True):
            np.testing.assert_allclose(value, v.numpy(), rtol=1e-4, atol=1e-5)


def test_template_can_be_made_first_inside_a_graph():
    task = make_task(functional)
    params, state = make_task(functional).init(0)

    @tf.function
    def loss(seed):
        x, y = task.batch("train", seed)
        return task.evaluate_loss(params, state, x, y)[0]

    first = loss(tf.constant([0, 1]))
    batch = task.batch("train", [0, 1])
    np.testing.assert_allclose(
        first, task.evaluate_loss(params, state, *batch)[0], 1e-6
    )


@pytest.mark.parametrize(
    "loss",
    ["mse", keras.losses.MeanSquaredError(), lambda y, p: tf.square(y - p)],
    ids=["name", "instance", "function"],
)
def test_any_form_of_loss(loss):
    x = np.array([[1.0], [3.0]])
    task = Task(lambda: keras.Sequential([layers.Dense(1)]), loss, train=(x, 0 * x))
    params = [np.array([[2.0]], "float32"), np.array([1.0], "float32")]
    value, outputs, _ = task.evaluate_loss(params, [], *task.train)
    np.testing.assert_allclose(outputs, [[3.0], [7.0]])
    np.testing.assert_allclose(value, (3**2 + 7**2) / 2)
    assert task.train[0].dtype == "float32"


@pytest.mark.parametrize("model_fn", MODELS)
def test_init_depends_on_its_seed_alone(model_fn):
    task = make_task(model_fn)
    params, state = task.init(seed=1)
    keras.utils.set_random_seed(123)
    again, state_again = task.init(seed=np.int64(1))
    for a, b in zip([*params, *state], [*again, *state_again], strict=True):
        np.testing.assert_array_equal(a, b)
    assert np.abs(params[0] - task.init(seed=2)[0][0]).max() > 0.01


def test_init_matches_keras_under_the_same_python_seed():
    random.seed(4)
    model = functional()
    params, _ = make_task(functional).init(4)
    for value, v in zip(params, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(value, v.numpy())


def test_init_leaves_global_random_state():
    def draw():
        return random.random(), np.random.rand(), float(keras.random.uniform(()))

    keras.utils.set_random_seed(0)
    expected = [draw(), draw()]
    keras.utils.set_random_seed(0)
    first = draw()
    make_task(Subclassed).init(seed=1)
    assert [first, draw()] == expected


def test_random_state_is_restored_when_the_model_cannot_be_made():
    def broken():
        random.random()
        raise RuntimeError("no model")

    before = random.getstate()
    with pytest.raises(RuntimeError, match="no model"):
        make_task(broken).init(0)
    assert random.getstate() == before


def test_scale_multiplies_trainable_values_only():
    task = make_task(functional)
    (params, state), (scaled, scaled_state) = task.init(1), task.init(1, scale=2.0)
    for a, b in zip(params, scaled, strict=True):
        np.testing.assert_array_equal(2 * a, b)
        assert b.dtype == "float32"
    for a, b in zip(state, scaled_state, strict=True):
        np.testing.assert_array_equal(a, b)


def test_num_params_counts_trainable_parameters():
    assert make_task(functional).num_params == (4 * 5 + 5) + (5 + 5) + (5 * 3 + 3)


def test_batches_are_examples_of_their_split():
    x = np.arange(10.0)[:, None]
    task = Task(
        sequential,
        "mse",
        train=(x, 2 * x),
        validation=(x + 100, x),
        batch_size=32,
    )
    bx, by = task.batch("train", [1, 2])
    assert bx.shape == (32, 1)
    np.testing.assert_array_equal(by, 2 * bx)
    assert set(bx.numpy().ravel()) <= set(x.ravel())
    assert np.all(task.batch("validation", [1, 2])[0].numpy() >= 100)
    np.testing.assert_array_equal(bx, task.batch("train", [1, 2])[0])
    in_graph = tf.function(lambda seed: task.batch("train", seed)[0])
    np.testing.assert_array_equal(bx, in_graph(tf.constant([1, 2])))
    assert np.any(bx != task.batch("train", [1, 3])[0])


def test_batches_are_the_same_under_xla():
    """Also of the negative seeds that other seeds are folded into."""
    x = np.arange(1000.0)[:, None]
    task = Task(sequential, "mse", train=(x, x), batch_size=32)
    draw = tf.function(lambda seed: task.batch("train", seed)[0], jit_compile=True)
    for seed in ([3, 5], [-3, 5], [3, -5], [-(2**31), 2**31 - 1]):
        seed = tf.constant(seed)
        np.testing.assert_array_equal(draw(seed), task.batch("train", seed)[0])


def test_every_example_is_drawn_equally_often():
    x = np.arange(10.0)[:, None]
    task = Task(sequential, "mse", train=(x, x), batch_size=10_000)
    counts = np.bincount(task.batch("train", [0, 0])[0].numpy().astype(int).ravel())
    assert len(counts) == 10
    assert np.abs(counts - 1000).max() < 5 * 30  # five standard deviations


def test_data_are_not_copied_into_the_graph():
    x = np.zeros((1000, 1000), "uint8")
    task = Task(sequential, "mse", train=(x, x[:, 0]))
    graph = tf.function(lambda seed: task.batch("train", seed)).get_concrete_function(
        tf.TensorSpec([2], tf.int32)
    )
    assert graph.graph.as_graph_def().ByteSize() < 100_000


X, Y = np.ones((4, 4), "float32"), np.array([0, 1, 2, 0])


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"train": None}, "`train` must be a tuple"),
        ({"train": X}, "`train` must be a tuple"),
        ({"train": (X, Y[:3])}, r"`train` must hold as many inputs.*\(4, 4\).*\(3,\)"),
        ({"train": (X[:0], Y[:0])}, "`train` must hold at least one example"),
        ({"test": (X[:0], Y[:0])}, "`test` must hold at least one example"),
        ({"validation": (X, Y[:3])}, "`validation` must hold as many"),
        ({"batch_size": 0}, "`batch_size` must be an integer >= 1.*batch_size=0"),
        ({"batch_size": 1.5}, "`batch_size` must be an integer >= 1.*batch_size=1.5"),
        ({"loss": None}, "`loss` must be a Keras loss"),
        ({"model_fn": 3}, "`model_fn` must be a function"),
    ],
)
def test_bad_arguments(changes, message):
    arguments = {"model_fn": sequential, "loss": LOSS, "train": (X, Y), **changes}
    with pytest.raises(ValueError, match=message) as error:
        Task(**arguments)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("loss", [LOSS, "sparse_categorical_crossentropy"])
@pytest.mark.parametrize("wrong", [3, -1])
@pytest.mark.parametrize("split", ["train", "test"])
def test_labels_outside_the_outputs(loss, wrong, split):
    data = {"train": (X, Y), split: (X, np.array([0, 1, 2, wrong]))}
    task = Task(sequential, loss, **data)
    with pytest.raises(ValueError, match=rf"\[0, 2\].*`{split}` labels.*{wrong}"):
        task.init(0)


def test_an_ignored_class_is_no_label():
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    task = Task(sequential, loss, train=(X, np.array([0, 1, 2, -1])))
    assert task.num_params == 4 * 5 + 5 + 5 * 3 + 3


def test_model_fn_must_build_a_new_model():
    model = functional()
    with pytest.raises(ValueError, match="new model on each call"):
        make_task(lambda: model).init(0)


def test_unknown_split():
    with pytest.raises(ValueError, match=r"one of \['train'\].*split='test'"):
        make_task().batch("test", [0, 0])

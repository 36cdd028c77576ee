"""The callback that tells an optimizer how long `fit` is."""

import keras
import numpy as np
import pytest

from lrlearn import LearnedOptimizer, RunLength
from lrlearn.rules import CoordinatewiseLSTM, ScheduledMLP
from tests.optimizers.conftest import small_model
from tests.rules.test_contract import large_theta

pytestmark = pytest.mark.any_backend

BACKEND = keras.backend.backend()
RULE = ScheduledMLP(units=4)
STEPS = 3  # batches an epoch, of `data` in `fit`


def _optimizer(rule=RULE, **kwargs):
    return LearnedOptimizer(rule, large_theta(rule), **kwargs)


class _Seen(keras.callbacks.Callback):
    """What the optimizer is told in each epoch."""

    def __init__(self, optimizer):
        super().__init__()
        self.optimizer, self.seen, self.iterations = optimizer, [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.seen.append((self.optimizer.total_steps, self.optimizer.epochs))
        self.iterations.append(int(self.optimizer.iterations))


@pytest.fixture(name="train")
def _train(data):
    """Function that compiles and trains, and returns what each epoch was told."""
    models = {}

    def train(optimizer, inner=None, data=data, compiled=None, **kwargs):
        if optimizer not in models:
            models[optimizer] = small_model(optimizer, **(compiled or {}))
        seen = _Seen(inner or optimizer)
        if isinstance(data, tuple):
            kwargs["batch_size"] = 16
            x, y = data
        else:
            x, y = data, None
        settings = {"shuffle": False, "verbose": 0, **kwargs}
        models[optimizer].fit(x, y, callbacks=[RunLength(), seen], **settings)
        train.model, train.iterations = models[optimizer], seen.iterations
        return seen.seen

    return train


@pytest.mark.parametrize("run_eagerly", [False, True][: 1 + (BACKEND != "jax")])
def test_known_length(train, fit, run_eagerly):
    """From the first step on, under any backend."""
    compiled = {"run_eagerly": run_eagerly}
    seen = train(_optimizer(), epochs=2, compiled=compiled)
    assert seen == [(2 * STEPS, 2)] * 2
    other = small_model(_optimizer(total_steps=2 * STEPS, epochs=2), **compiled)
    fit(other, epochs=2)
    for a, b in zip(train.model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_replaces_what_was_said(train):
    """`fit` knows better."""
    optimizer = _optimizer(total_steps=1000, epochs=1)
    assert train(optimizer, epochs=2) == [(2 * STEPS, 2)] * 2


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_steps_per_epoch(train):
    """Counts as an epoch."""
    optimizer = _optimizer()
    assert train(optimizer, epochs=3, steps_per_epoch=2)[0] == (6, 3)


@pytest.fixture(name="unknown")
def _unknown(data):
    """Batches of a number that nobody says."""
    tf = pytest.importorskip("tensorflow")
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(16)
    return dataset.filter(lambda *_: True)


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_unknown_length(train, unknown):
    """It is known after an epoch; until then, what the user says stands."""
    known = (4 * STEPS, 4)
    assert train(_optimizer(), data=unknown, epochs=4) == [(None, None), *[known] * 3]
    optimizer = _optimizer(total_steps=50, epochs=5)
    assert train(optimizer, data=unknown, epochs=4) == [(50, 5), *[known] * 3]


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_unknown_length_again(train, unknown):
    """The length of a run that is over is not taken for that of the next."""
    optimizer = _optimizer()
    train(optimizer, data=unknown, epochs=2)
    (first, _), *others = train(optimizer, data=unknown, epochs=3)
    assert first is None and others == [(5 * STEPS, 5)] * 2


@pytest.mark.filterwarnings("ignore:Your input ran out of data")
def test_nothing_of_a_run_that_is_over_is_left(train, unknown):
    """Its epochs would set the dial."""
    optimizer = _optimizer(total_steps=1, epochs=1)
    train(optimizer, data=unknown, epochs=2)
    assert train(optimizer, data=unknown, epochs=2)[0] == (None, None)


def test_second_fit(train):
    """What is done counts."""
    optimizer = _optimizer()
    assert train(optimizer, epochs=2) == [(2 * STEPS, 2)] * 2
    assert train(optimizer, epochs=3) == [(5 * STEPS, 5)] * 3
    assert int(optimizer.iterations) == 5 * STEPS


def test_initial_epoch(train):
    """Of an optimizer that made the epochs before, and of a new one."""
    optimizer = _optimizer()
    train(optimizer, epochs=2)
    assert train(optimizer, epochs=5, initial_epoch=2) == [(5 * STEPS, 5)] * 3
    assert train(_optimizer(), epochs=5, initial_epoch=2) == [(3 * STEPS, 3)] * 3


def test_loaded_model(train, tmp_path):
    """Goes on as if it had not been saved."""
    train(_optimizer(), epochs=2)
    train.model.save(tmp_path / "model.keras")
    model = keras.models.load_model(tmp_path / "model.keras")
    x = np.zeros((48, 5))
    model.fit(x, x[:, :1], 16, epochs=1, verbose=0, callbacks=[RunLength()])
    assert (model.optimizer.total_steps, model.optimizer.epochs) == (3 * STEPS, 3)


def test_gradient_accumulation(train):
    """Steps are those of the rule, also if a batch is left over."""
    optimizer = _optimizer(gradient_accumulation_steps=2)
    assert train(optimizer, epochs=3) == [(9 // 2, 3)] * 3
    assert int(optimizer.iterations) == 9 // 2
    assert train(optimizer, epochs=3) == [(18 // 2, 6)] * 3
    assert int(optimizer.iterations) == 18 // 2


@pytest.mark.skipif(BACKEND == "torch", reason="Keras takes one step at a time there")
def test_steps_per_execution(train):
    """Changes nothing."""
    compiled = {"steps_per_execution": 2, "run_eagerly": False}
    assert train(_optimizer(), compiled=compiled, epochs=2) == [(2 * STEPS, 2)] * 2


def test_mixed_precision(train):
    """The optimizer inside is told."""
    optimizer = _optimizer()
    scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=4.0)
    half = {"dtype": "mixed_float16"}
    seen = train(scaled, optimizer, compiled=half, epochs=2)
    assert seen == [(2 * STEPS, 2)] * 2


def test_skipped_steps(train):
    """Steps that mixed precision leaves out are not waited for."""
    optimizer = _optimizer()
    scaled = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=2.0**24)
    half = {"dtype": "mixed_float16"}
    seen = train(scaled, optimizer, compiled=half, epochs=6)
    assert 0 < int(optimizer.iterations) < 6 * STEPS
    left = STEPS * np.arange(6, 0, -1)
    assert [total for total, _ in seen] == list(train.iterations + left)


@pytest.mark.skipif(
    not hasattr(keras.optimizers, "OptimizerMap"), reason="Keras 3.15 brought it"
)
def test_several_optimizers(train):
    """Each that is told it is, whatever the others."""
    optimizer, lstm = _optimizer(), CoordinatewiseLSTM((2,))
    by_rule = keras.optimizers.OptimizerMap(keras.optimizers.SGD())
    by_rule[".*kernel"] = optimizer
    by_rule[".*bias"] = LearnedOptimizer(lstm, lstm.init_theta())
    multiple = keras.optimizers.MultiOptimizer(by_rule)
    assert train(multiple, optimizer, epochs=2) == [(2 * STEPS, 2)] * 2


@pytest.mark.parametrize("wrap", [False, True], ids=["plain", "loss scaling"])
def test_other_optimizers(fit, wrap):
    """Adam and a rule without such inputs are left as they are."""
    rule = CoordinatewiseLSTM((2,))
    for optimizer in (
        keras.optimizers.Adam(),
        LearnedOptimizer(rule, rule.init_theta()),
    ):
        config = optimizer.get_config()
        if wrap:
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        fit(small_model(optimizer), callbacks=[RunLength()])
        inner = optimizer.inner_optimizer if wrap else optimizer
        assert inner.get_config() == config
        assert getattr(inner, "total_steps", None) is None

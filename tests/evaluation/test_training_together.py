"""Runs trained together are those trained one by one."""

import time

import keras
import numpy as np
import pytest

import lrlearn
from lrlearn.evaluation import Training
from lrlearn.regularizers import GAM, SAM
from tests.evaluation.test_training import dense, make_task, normalized, with_dropout

SEEDS = [3, 1, 4]


def convolutional():
    return keras.Sequential(
        [
            keras.Input([4]),
            keras.layers.Reshape([2, 2, 1]),
            keras.layers.Conv2D(3, 2, padding="same", activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    )


def learned(name):
    return lambda: lrlearn.LearnedOptimizer.from_preset(name)


OPTIMIZERS = {
    "sgd": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
    "adam": lambda: keras.optimizers.Adam(0.01),
    # Statistics of whole tensors must stay those of one run.
    "adafactor": lambda: keras.optimizers.Adafactor(0.05),
    "lstm": learned("lo_lstm_sam"),
    "mlp": learned("lo_sam"),
}


def alone(task, make, regularizer, seed, steps=6):
    training = Training(task, make(), regularizer)
    training.run(steps, seed)
    model = training.model
    return [*model.trainable_variables, *model.non_trainable_variables]


def assert_same_runs(task, make, regularizer=None, steps=6):
    training = Training(task, make(), regularizer, len(SEEDS))
    training.start(SEEDS, steps=steps)
    training.train(2)
    training.train(steps)
    together = [*training.params, *training.state]
    for k, seed in enumerate(SEEDS):
        expected = alone(task, make, regularizer, seed, steps)
        for stacked, value in zip(together, expected, strict=True):
            np.testing.assert_allclose(stacked[k], value, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_run_is_that_of_its_seed(name):
    assert_same_runs(make_task(), OPTIMIZERS[name])


@pytest.mark.parametrize("regularizer", [SAM(0.1), GAM(0.1, 0.1)], ids=["sam", "gam"])
@pytest.mark.parametrize("model_fn", [dense, convolutional])
def test_fields_are_those_of_one_network(model_fn, regularizer):
    assert_same_runs(make_task(model_fn), OPTIMIZERS["sgd"], regularizer)


@pytest.mark.parametrize("model_fn", [normalized, with_dropout, convolutional])
def test_models_with_a_state_are_trained_too(model_fn):
    assert_same_runs(make_task(model_fn), OPTIMIZERS["adam"])


def test_a_new_start_forgets_the_runs_before():
    training = Training(make_task(normalized), OPTIMIZERS["adam"](), count=3)
    ends = []
    for seeds in (SEEDS, [7, 8, 9], SEEDS):
        training.start(seeds)
        training.train(5)
        ends.append([w.numpy() for w in [*training.params, *training.state]])
    first, other, again = ends
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_plain_steps_leave_the_regularizer_out():
    task, sgd = make_task(), OPTIMIZERS["sgd"]
    late = Training(task, sgd(), SAM(0.5))
    late.start([0])
    late.train(4, plain=True)
    np.testing.assert_allclose(
        late.params[0][0], alone(task, sgd, None, 0, 4)[0], rtol=1e-6
    )
    late.train(6)
    difference = late.params[0][0] - alone(task, sgd, None, 0, 6)[0]
    assert np.abs(difference).max() > 1e-5


def test_averages_are_what_an_optimizer_with_ema_is_judged_by():
    task = make_task()
    optimizer = keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5)
    training = Training(task, optimizer, count=2)
    training.start([0, 1])
    path = [np.array(task.init(1)[0][0])]
    np.testing.assert_array_equal(training.params[0][1], path[0])
    for step in (1, 2, 3):
        training.train(step)
        path.append(alone(task, plain_sgd, None, 1, step)[0].numpy())
    # Keras starts its average at the first updated value.
    average = path[1]
    for w in path[2:]:
        average = 0.5 * average + 0.5 * w
    np.testing.assert_allclose(training.params[0][1], average, rtol=1e-5, atol=1e-7)


def plain_sgd():
    return keras.optimizers.SGD(0.1)


def test_time_is_that_of_steps():
    training = Training(make_task(), OPTIMIZERS["adam"](), count=2)
    training.start([0, 1])
    began = time.process_time()
    training.train(3)
    first, whole = training.training_cpu_seconds, time.process_time() - began
    assert 0 < first < whole / 2  # to compile takes longer
    training.train(30)
    assert first < training.training_cpu_seconds
    training.start([0, 1])
    assert training.training_cpu_seconds == 0


def test_seeds_must_be_as_many_as_runs():
    training = Training(make_task(), OPTIMIZERS["sgd"](), count=2)
    with pytest.raises(ValueError, match="must be 2 integers. Received: seeds="):
        training.start([0])


def test_seeds_are_run_in_groups():
    task = make_task()
    together = Training(task, OPTIMIZERS["adam"](), count=2)
    alone = Training(task, OPTIMIZERS["adam"]())
    found, expected = (t.run(3, [5, 6, 7, 8]) for t in (together, alone))
    expected = expected.sort_values(["seed", "step"], ignore_index=True)
    found = found.sort_values(["seed", "step"], ignore_index=True)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


def test_groups_of_seeds_are_whole():
    """That is said before anything is trained."""
    training = Training(make_task(), "sgd", count=2)
    with pytest.raises(ValueError, match="must be a multiple of 2 integers"):
        training.run(3, [5, 6, 7])
    with pytest.raises(ValueError, match="`start` must be called before `train`"):
        training.train(3)


def test_no_step_is_taken_twice():
    training = Training(make_task(), "sgd")
    training.start([0])
    training.train(3)
    with pytest.raises(ValueError, match="must be an integer >= 3. Received: until=2"):
        training.train(2)


def test_an_optimizer_is_new():
    optimizer = OPTIMIZERS["sgd"]()
    Training(make_task(), optimizer)
    with pytest.raises(ValueError, match="`optimizer` must be new"):
        Training(make_task(), optimizer)


def test_names_will_do_for_an_optimizer_and_a_regularizer():
    task = make_task()
    found = Training(task, "sgd", "sam").run(3, seeds=0)
    expected = Training(task, keras.optimizers.SGD(), SAM()).run(3, seeds=0)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"count": 0}, "`count` must be an integer >= 1. Received: count=0"),
        ({"regularizer": "flat"}, "`regularizer` must be .* Received: .*'flat'"),
    ],
)
def test_arguments_must_be_valid(arguments, message):
    with pytest.raises(ValueError, match=message):
        Training(make_task(), "sgd", **arguments)


@pytest.mark.parametrize(
    ("argument", "value"),
    [("steps", -1), ("steps", 0), ("record_every", -1), ("record_every", 0)],
)
def test_counts_of_steps_must_be_valid(argument, value):
    arguments = {"steps": 4, "seeds": 0, argument: value}
    with pytest.raises(ValueError, match=f"`{argument}` must be an integer >= 1"):
        Training(make_task(), "sgd").run(**arguments)


def test_each_run_has_the_constraints_of_the_model():
    """And the names of its variables, by which optimizers tell them apart."""

    def model_fn():
        layer = keras.layers.Dense(3, kernel_constraint="non_neg")
        return keras.Sequential([keras.Input([4]), layer])

    optimizer = keras.optimizers.SGD(1.0)
    training = Training(make_task(model_fn), optimizer, count=2)
    training.run(steps=2, seeds=[0, 1])
    kernels, biases = training.params
    assert [kernel.numpy().min() for kernel in kernels] == [0.0, 0.0]
    assert [bias.numpy().min() < 0.0 for bias in biases] == [True, True]
    names = [v.name for v in optimizer._trainable_variables]
    assert names == ["kernel", "bias"] * 2

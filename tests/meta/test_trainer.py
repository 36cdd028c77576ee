"""MetaTrainer: it learns, keeps the best, and says what is wrong."""

import dataclasses
import gc
import json
import os
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.optimizers.schedules import CosineDecay

from lrlearn import MetaTrainer
from lrlearn.meta import MetaSettings
from lrlearn.meta.meta_validation import MetaValidation
from lrlearn.regularizers import SAM, Regularizer
from lrlearn.rules import ScheduledMLP
from tests.meta.problems import ADAM_RULE, FAST, RULE, meta_problem, mlp, quadratic

QUICK = {**FAST, "validation_every": None}
DIAL_RULE = ScheduledMLP(default_rho=0.05)


class _Fixed(Regularizer):
    """A teacher whose strength is fixed."""

    def penalty(self, loss_fn, params):
        return 0.0

    def get_config(self):
        return {}


def _same(one, other):
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_meta_training_learns():
    """A rule that does nothing yet learns to train unseen initializations."""
    trainer = MetaTrainer(
        RULE,
        [mlp()],
        optimizees_per_task=2,
        unroll=10,
        horizon=(20, 60),
        validation_every=None,
        meta_optimizer=keras.optimizers.Adam(0.02, global_clipnorm=1.0),
    )
    settings = {"validation_steps": 50, "validation_optimizees": 4, "seed": 77}
    score = MetaValidation(meta_problem(mlp(), **settings))
    untrained = score(trainer.theta)
    trainer.fit(60, verbose=0)
    assert untrained > np.log(2.2)
    assert score(trainer.theta) < untrained - 0.5


def test_seeds():
    """The same theta for the same seed, another for another."""
    thetas = []
    for seed in (1, 1, 2):
        trainer = MetaTrainer(
            RULE, [mlp()], theta=RULE.init_theta(0), seed=seed, **QUICK
        )
        trainer.fit(3, verbose=0)
        thetas.append(trainer.theta)
    assert _same(thetas[0], thetas[1])
    assert not _same(thetas[1], thetas[2])


@pytest.mark.long
def test_several_architectures_and_no_retracing():
    """However often optimizees start anew, there is one trace."""
    tasks = [
        mlp(),
        mlp(lambda: keras.layers.Dense(3, "relu"), name="relu"),
        mlp(lambda: keras.layers.BatchNormalization(), name="normalized"),
    ]
    settings = {**QUICK, "horizon": 10, "optimizees_per_task": 2}
    trainer = MetaTrainer(RULE, tasks, **settings)
    history = trainer.fit(12, verbose=0)
    episodes = [slot.episode for slot in trainer._pool.slots]
    assert len(episodes) == 6 and min(episodes) >= 5
    (graph,) = trainer._meta_step._graphs.values()
    assert graph.experimental_get_tracing_count() == 1
    counts = [
        graph.experimental_get_tracing_count()
        for graph in trainer._meta_step._estimates.values()
    ]
    assert counts == [1, 1, 1]
    assert np.isfinite(history.frame()["meta_loss"]).all()


@pytest.mark.parametrize(
    ("jit_compile", "training", "validation"),
    [
        (None, [True, False], [False, False]),
        (False, [False, False], [False, False]),
        (True, [True, True], [True, True]),
    ],
)
def test_xla_is_used_where_it_pays(jit_compile, training, validation):
    """By default to train, for a small rule and a dense network."""
    convolution = mlp(
        lambda: keras.layers.Reshape((8, 8, 1)),
        lambda: keras.layers.Conv2D(2, 3),
        lambda: keras.layers.Flatten(),
    )
    trainer = MetaTrainer(RULE, [mlp(), convolution], jit_compile=jit_compile)
    for functions, expected in (
        (trainer._meta_step._estimates.values(), training),
        (trainer._validate._evaluate, validation),
    ):
        assert [function._jit_compile for function in functions] == expected


@pytest.mark.parametrize("untrained", [1.0, 0.1], ids=["bettered", "not bettered"])
def test_best_theta_is_kept(untrained):
    """The average with the lowest score; that at the start is noted, and not kept."""
    trainer = MetaTrainer(RULE, [mlp()], **{**FAST, "validation_every": 2})
    scores, averages = [untrained, 0.5, 0.25, np.nan, 0.3], []

    def validate(theta):
        averages.append({name: value.numpy() for name, value in theta.items()})
        return scores[len(averages) - 1]

    trainer._validate = validate
    history = trainer.fit(8, verbose=0)
    assert [_same(trainer.theta, average) for average in averages].index(True) == 2
    assert _same(averages[0], RULE.init_theta(0)) and not _same(*averages[:2])
    np.testing.assert_array_equal(history.history["score"][1::2], scores[1:])
    assert np.isnan(history.history["score"][::2]).all()
    assert history.untrained_score == untrained


def test_score_of_weights():
    """That of meta-validation; by default of the best weights."""
    trainer = MetaTrainer(RULE, [mlp()], **{**FAST, "validation_every": 1})
    history = trainer.fit(2, verbose=0)
    assert trainer.score() == pytest.approx(history.best["score"], rel=1e-6)
    untrained = trainer.score(RULE.init_theta(0))
    assert untrained == pytest.approx(history.untrained_score, rel=1e-6)
    with pytest.raises(ValueError, match="`validation_every` must be given"):
        MetaTrainer(RULE, [mlp()], **QUICK).score()


def _resting_theta():
    """A theta by which the rule does not move."""
    return {name: 0.0 * value for name, value in RULE.init_theta().items()}


def test_meta_validation_score():
    """By a rule that does not move: mean log loss at the initializations."""
    tasks = mlp(), mlp(lambda: keras.layers.Dense(3, "relu"))
    problem = meta_problem(*tasks, validation_optimizees=4, validation_steps=2)
    validate = MetaValidation(problem)
    assert [index for index, _ in validate._starts] == [0, 1, 0, 1]
    logs = []
    for index, start in validate._starts:
        p = problem.objectives[index]
        x, y = p.task.validation
        loss, _, _ = p.task.evaluate_loss(p.params(start), [], x, y)
        logs.append(np.log(loss))
    assert len(set(map(float, logs))) == 4
    score = validate(_resting_theta())
    np.testing.assert_allclose(score, np.mean(logs), rtol=1e-5)
    assert validate(_resting_theta()) == score


@pytest.mark.parametrize("loss", [np.nan, 1e6])
def test_meta_validation_bounds_the_loss(loss):
    """One that is not finite, or larger, counts as the limit: scores compare."""
    task = mlp(loss=lambda y, logits: loss + 0.0 * tf.reduce_sum(logits))
    settings = {"validation_optimizees": 1, "validation_steps": 1, "loss_limit": 50.0}
    validate = MetaValidation(meta_problem(task, **settings))
    np.testing.assert_allclose(validate(_resting_theta()), np.log(50.0))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"unroll": 0}, "`unroll` must be an integer >= 1. Received: unroll=0"),
        ({"unroll": "20"}, "`unroll` must be an integer >= 1. Received: unroll='20'"),
        ({"unroll": 20.5}, "`unroll` must be an integer >= 1"),
        ({"optimizees_per_task": 0}, "`optimizees_per_task` must be an integer >= 1"),
        ({"horizon": "100"}, "`horizon` must be two positive numbers"),
        ({"horizon": 100.5}, "`horizon` must be an integer >= 1"),
        ({"unroll": 200}, "`unroll` must be at most `horizon`"),
        ({"horizon": (1000, 100)}, "`horizon` must be two positive numbers"),
        ({"horizon": 0}, "`horizon` must be two positive numbers"),
        ({"initial_scale": (0.0, 1.0)}, "`initial_scale` must be two positive"),
        ({"initial_scale": (1.0, np.nan)}, "`initial_scale` must be two positive"),
        ({"meta_loss": "logs"}, r"`meta_loss` must be one of \('log', 'loss'\)"),
        ({"meta_split": "test"}, r"one of \('train', 'validation'\).*'test'"),
        ({"ema_decay": 1.0}, r"`ema_decay` must be in \[0, 1\)"),
        ({"validation_every": 0}, "`validation_every` must be an integer >= 1"),
        ({"validation_steps": 0}, "`validation_steps` must be an integer >= 1"),
        ({"loss_limit": np.nan}, "`loss_limit` must be a positive number"),
        ({"tasks_per_step": 0}, "`tasks_per_step` must be an integer >= 1. .*=0$"),
        ({"reparameterization": (0.5, 2.0)}, "two numbers, at least 1. .*0.5"),
        ({"reparameterization": (2.0,)}, r"`reparameterization` must be.*\(2.0,\)$"),
        ({"reparameterization": (2.0, np.inf)}, "`reparameterization` must be two"),
        ({"dial": (0.0, 0.3)}, r"`dial` must be two positive .*dial=\(0.0, 0.3\)$"),
        ({"dial": (0.3, 0.1)}, "`dial` must be two positive numbers, the smaller"),
        ({"dial": (0.3,)}, r"`dial` must be two positive numbers.*dial=\(0.3,\)$"),
        ({"loss_offset": 0.0}, "`loss_offset` must be a positive .*loss_offset=0.0$"),
        ({"loss_limit": np.inf}, "`loss_limit` must be a positive number"),
        ({"late_weight": 1.5}, r"`late_weight` must be in \[0, 1\].*late_weight=1.5$"),
        ({"late_weight": -0.1}, "`late_weight` must be a finite number, at least 0"),
        ({"seed": -1}, "`seed` must be an integer >= 0"),
        ({"seed": 2**31}, r"`seed` must be less than 2\*\*31"),
        ({"estimator": "tape"}, r"'nres', 'pes', 'replay'\).* Received: .*'tape'"),
        ({"regularizer": "sma"}, "'none', 'sam', 'asam', 'gsam', 'gam', 'l2'"),
        ({"theta": ADAM_RULE.init_theta()}, "`theta` must fit the rule"),
    ],
    ids=str,
)
def test_bad_arguments(settings, message):
    """One line that states the rule and what came."""
    with pytest.raises(ValueError, match=message) as error:
        MetaTrainer(RULE, [mlp()], **settings)
    assert "\n" not in str(error.value)


def test_settings_are_plain_numbers():
    """So that they go into JSON: NumPy's do not."""
    settings = MetaSettings(seed=np.int64(3), horizon=np.int32(50), dial=[1, 2])
    text = json.dumps(dataclasses.asdict(settings))
    assert json.loads(text)["horizon"] == [50, 50]
    assert (settings.seed, settings.dial) == (3, (1.0, 2.0))


def test_keras_names_and_single_callbacks_will_do():
    """As in `compile` and `fit`."""
    seen = []
    callback = keras.callbacks.LambdaCallback(on_train_end=seen.append)
    trainer = MetaTrainer(RULE, [mlp()], meta_optimizer="sgd", **FAST)
    trainer.fit(1, callbacks=callback, verbose=0)
    assert isinstance(trainer.meta_optimizer, keras.optimizers.SGD) and len(seen) == 1


def test_bad_tasks():
    """No list of tasks, and no validation data though they are needed."""
    for tasks in ([], mlp(), ["digits/mlp"], "digits/mlp"):
        with pytest.raises(ValueError, match="`tasks` must be a list of one or more"):
            MetaTrainer(RULE, tasks)
    task = mlp(validation=False, name="bare")
    for settings in ({}, {"validation_every": None, "meta_split": "validation"}):
        with pytest.raises(ValueError, match=r"need validation data.*\['bare'\]"):
            MetaTrainer(RULE, [task], **settings)
    for settings in ({"validation_every": None}, {"score_split": "train"}):
        MetaTrainer(RULE, [task], **settings)


def test_bad_rule():
    """A name is none, as rules have arguments of their own."""
    with pytest.raises(ValueError, match="^`rule` must be an .*UpdateRule. .*'lstm'$"):
        MetaTrainer("lstm", [mlp()])


@pytest.mark.parametrize(
    ("method", "estimator"),
    [
        ("field", "es"),
        ("field", "pes"),
        ("penalty", "replay"),
        ("penalty", "full_tape"),
    ],
)
def test_a_teacher_lacks_what_the_estimator_needs(method, estimator):
    """It is said at once, not in the first step."""
    other = {"field": "penalty", "penalty": "field"}[method]
    half = type("Half", (Regularizer,), {method: None})
    message = f"`regularizer` must have a method `{other}` for .*'{estimator}'.*: Half"
    with pytest.raises(ValueError, match=message):
        MetaTrainer(RULE, [mlp()], half(), estimator, **QUICK)


@pytest.mark.parametrize(
    ("rule", "regularizer", "message"),
    [
        (RULE, SAM(), "`dial` needs a rule with a dial, .*CoordinatewiseLSTM"),
        (ScheduledMLP(), SAM(), "`dial` needs a rule .*: .*default_rho=None"),
        (DIAL_RULE, None, "`dial` needs a regularizer .*: regularizer=None$"),
        (DIAL_RULE, _Fixed(), "`dial` needs .*`scaled`. .*regularizer=_Fixed"),
    ],
    ids=["no dial", "dial not set", "no teacher", "fixed teacher"],
)
def test_dial_needs_a_rule_and_a_teacher(rule, regularizer, message):
    """One line that says what is lacking."""
    with pytest.raises(ValueError, match=message) as error:
        MetaTrainer(rule, [mlp()], regularizer, "pes", dial=(0.01, 0.3), **QUICK)
    assert "\n" not in str(error.value)


def test_replay_needs_a_coordinatewise_rule():
    """A rule with a schedule is refused at once, in one line."""
    message = "'replay' needs a CoordinatewiseRule; take 'pes' or .*ScheduledMLP"
    with pytest.raises(ValueError, match=message) as error:
        MetaTrainer(ScheduledMLP(), [mlp()], estimator="replay", **QUICK)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("estimator", ["pes", "full_tape"])
def test_a_rule_with_a_schedule_is_meta_trained(estimator):
    """With all that an optimizee can be given: theta moves and is finite."""
    rule = ScheduledMLP(units=3, default_rho=0.05)
    trainer = MetaTrainer(
        rule,
        [quadratic()],
        SAM(1.0, relative=True),
        estimator,
        dial=(0.01, 0.3),
        reparameterization=(3.0, 2.0),
        late_weight=0.5,
        **{**QUICK, "optimizees_per_task": 2},
    )
    history = trainer.fit(3, verbose=0).frame()
    assert np.isfinite(history[["meta_loss", "loss", "gradient_norm"]]).all(axis=None)
    assert history["skipped"].sum() == 0
    for name, start in rule.init_theta(0).items():
        assert np.isfinite(trainer.theta[name]).all()
        # Of the first layers only once the last ones are no longer zero.
        assert np.any(trainer.theta[name] != start), name


def test_bad_fit():
    """Before anything is written or trained."""
    trainer = MetaTrainer(RULE, [mlp()], **QUICK)
    with pytest.raises(ValueError, match="`checkpoint_every` must be an integer >= 1"):
        trainer.fit(1, checkpoint_every=0)


def test_any_meta_optimizer():
    """With a schedule, with clipping, with averages of its own."""
    schedule = CosineDecay(0.01, 10)
    for optimizer in (
        keras.optimizers.RMSprop(schedule, clipnorm=0.5),
        keras.optimizers.AdamW(0.01, use_ema=True),
    ):
        trainer = MetaTrainer(RULE, [mlp()], meta_optimizer=optimizer, **QUICK)
        trainer.fit(1, verbose=0)
        assert int(optimizer.iterations) == 1
        assert not _same(trainer.theta, RULE.init_theta(0))


def test_settings():
    """Defaults that follow from others, and a message for a misspelt name."""
    assert MetaSettings(horizon=200).horizon == (200, 200)
    assert MetaSettings(horizon=[100, 400]).validation_steps == 200
    for name, hint in {
        "unrol": r"; did you mean `unroll`\?",
        "regulariser": r"; did you mean `regularizer`\?",
        "xyz": r"\.",
    }.items():
        message = f"^`{name}` must be an argument of .*{hint} Received: {name}=3$"
        with pytest.raises(TypeError, match=message):
            MetaTrainer(RULE, [mlp()], **{name: 3})


def _resident_megabytes():
    gc.collect()
    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="needs Linux")
def test_memory_does_not_grow():
    """Steps without restarts leave nothing behind."""
    settings = {**QUICK, "horizon": 10**6}
    trainer = MetaTrainer(RULE, [mlp()], **settings)
    trainer.fit(100, verbose=0)
    before = _resident_megabytes()
    trainer.fit(1000, verbose=0)
    assert _resident_megabytes() - before < 2

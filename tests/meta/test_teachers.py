"""Teachers that change: what they do with measurements, and what is measured."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from lrlearn import MetaTrainer
from lrlearn.meta import NRES, GapFeedback, LearnedMixture, Replay, teachers
from lrlearn.meta.teaching import Teaching
from lrlearn.meta.unroll import fold_in
from lrlearn.regularizers import GAM, L2, SAM, Mixture, Regularizer, RhoSchedule
from lrlearn.rules import ScheduledMLP
from tests.meta.problems import (
    FAST,
    RULE,
    fix_batches,
    flat,
    meta_problem,
    mlp,
    objective,
    start_of,
    theta_of,
)

RISING = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)
SETTINGS = {**FAST, "validation_every": None}
MEMBERS = ["none", SAM(0.5), L2(0.1)]
BATCH = {split: fix_batches(mlp()).batch(split, None) for split in ("train",)}


def _evaluations(regularizer, values=None):
    """Returns the meta-losses by the penalty, and the gradient by the field."""
    of = objective(regularizer=regularizer)
    of = of if values is None else of.taught(tf.constant(values))
    optimizee = start_of(of)
    penalty, field = (
        evaluate(optimizee, BATCH)
        for evaluate in (of.evaluate_penalty, of.evaluate_field)
    )
    return float(penalty.meta_loss), field.v.numpy()


@pytest.mark.parametrize(
    ("teacher", "values", "expected"),
    [
        (SAM(RISING), [5.0], SAM(0.5)),
        (Mixture([None, "sam"], [1.0, RISING]), [10.0], Mixture([None, "sam"])),
        (GapFeedback(SAM(0.1)), [3.0, 0.2, 0.2], SAM(0.3)),
        (LearnedMixture(MEMBERS), [0.0, 1.0, 0.0], SAM(0.5)),
        (LearnedMixture(MEMBERS), [0.2, 0.3, 0.5], Mixture(MEMBERS, [2, 3, 5])),
    ],
    ids=["schedule", "scheduled_weight", "feedback", "one_of_mixture", "mixture"],
)
def test_at_its_values_a_teacher_is_a_fixed_one(teacher, values, expected):
    values = np.float32(values)
    assert teachers.get(teacher).start().shape == values.shape
    loss, v = _evaluations(teacher, values)
    expected_loss, expected_v = _evaluations(expected)
    assert loss == pytest.approx(expected_loss, rel=1e-5)
    np.testing.assert_allclose(v, expected_v, rtol=1e-4, atol=1e-6)
    assert loss != _evaluations(teacher, teachers.get(teacher).start())[0]


def test_feedback_follows_the_gap():
    """Up if the gap is above its average, down if below, within limits."""
    teacher = GapFeedback("sam", factor=2.0, limits=(0.5, 3.0))
    values, found = teacher.start(), []
    for gap in (0.1, 0.2, 0.3, 0.4, np.nan, 0.1, 0.1, 0.1, 0.1):
        values = teacher.update(values, gap)
        found.append(tuple(values))
    strengths, gaps, averages = np.transpose(found)
    np.testing.assert_allclose(strengths, [1, 2, 3, 3, 3, 1.5, 0.75, 0.5, 0.5])
    np.testing.assert_allclose(gaps[:5], [0.1, 0.2, 0.3, 0.4, 0.4], rtol=1e-6)
    np.testing.assert_allclose(averages[:3], [0.1, 0.11, 0.129], rtol=1e-6)
    assert values.dtype == np.float32


def test_weights_follow_alignments():
    """As exp(sum of alignments), whatever their common level."""
    teacher = LearnedMixture(MEMBERS, learning_rate=2.0)
    values = teacher.start()
    for alignments in ([0.1, 0.3, 0.2], [0.5, 0.6, -0.1], [np.nan, 0.1, 0.1]):
        values = teacher.update(values, np.array(alignments))
    expected = np.exp(2.0 * np.array([0.6, 0.9, 0.1]))
    np.testing.assert_allclose(values, expected / expected.sum(), rtol=1e-5)


def test_a_weight_can_rise_again():
    """However far it fell."""
    teacher = LearnedMixture(MEMBERS[:2], learning_rate=100.0)
    values = teacher.start()
    for alignments in ([1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]):
        values = teacher.update(values, np.float32(alignments))
    assert values[1] > 0.99


@pytest.mark.parametrize(
    "teacher", [GapFeedback(SAM(0.2), 1.5, (0.5, 2.0), 7), LearnedMixture(MEMBERS, 2.0)]
)
def test_configs_make_the_same(teacher):
    config = teacher.get_config()
    assert type(teacher).from_config(config).get_config() == config


def _trainer(teacher, task=None, **settings):
    trainer = MetaTrainer(RULE, [task or mlp()], teacher, **{**SETTINGS, **settings})
    trainer._pool.start()
    return trainer


def test_the_gap_is_that_of_the_optimizees():
    """The mean over them of log losses on a batch of each split."""
    task = fix_batches(mlp())
    trainer = _trainer(GapFeedback("sam", every=3), task, optimizees_per_task=2)
    theta = theta_of(RULE)
    for step in (0, 2, 4):
        trainer._teaching.advance(theta, step)
        assert np.isnan(trainer._teaching.values[1])
    trainer._teaching.advance(theta, 3)
    gaps = []
    for slot in trainer._pool.slots:
        weights, state = (
            trainer._teaching._problem.objectives[0].params(slot.optimizee),
            slot.optimizee.model_state,
        )
        losses = [
            float(task.evaluate_loss(weights, state, *task.batch(split, None))[0])
            for split in ("train", "validation")
        ]
        gaps.append(np.log(losses[1] / losses[0]))
    assert len(gaps) == 2 and trainer._teaching.logs["gap"] == pytest.approx(
        np.mean(gaps), rel=1e-4
    )


def _alone(estimator, regularizer, slot, step, **settings):
    """Returns a meta-gradient as a fixed teacher gives it."""
    seed = fold_in(tf.constant([0, 0]), step, -2, slot.replica, slot.index)
    of = objective(mlp(), regularizer=regularizer, **settings)
    steps = SETTINGS["unroll"]
    estimate = estimator.estimate(of, theta_of(RULE), slot.optimizee, seed, steps)
    return flat(estimate.gradient)


@pytest.mark.parametrize(
    "estimator",
    [Replay(), pytest.param(NRES(0.1), marks=pytest.mark.slow)],
    ids=["replay", "nres"],
)
def test_alignments_are_those_of_meta_gradients(estimator):
    """Of each member alone, with those of the plain loss on validation batches."""
    teacher = LearnedMixture(MEMBERS, learning_rate=1.0)
    trainer = _trainer(teacher, estimator=estimator, optimizees_per_task=2)
    trainer._teaching.advance(theta_of(RULE), 10)
    products, squares, held_out = np.zeros(3), np.zeros(3), 0.0
    for slot in trainer._pool.slots:
        G_v = _alone(estimator, None, slot, 10, meta_split="validation")
        held_out += G_v @ G_v
        for i, member in enumerate(teacher.mixture.members):
            G = _alone(estimator, member, slot, 10)
            products[i] += G @ G_v
            squares[i] += G @ G
    expected = np.exp(products / np.sqrt(squares * held_out))
    expected /= expected.sum()
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(trainer._teaching.values, expected, rtol=1e-3)


def test_all_tasks_take_turns_in_measurements():
    """Also if one is in a meta-step, and `every` is a multiple of their number."""
    trainer = MetaTrainer(
        RULE,
        [mlp(name=str(task)) for task in range(3)],
        LearnedMixture(MEMBERS, every=3),
        **SETTINGS,
        tasks_per_step=1,
    )
    trainer._pool.start()
    teaching, seen = trainer._teaching, []

    def gradients(objective, theta, values, optimizees, seeds):
        seen.append(objective.task.name)
        return {"w": np.ones((len(seeds), 2))}, np.ones(len(seeds), bool)

    teaching._meta_step.gradients = gradients
    for step in range(1, 10):
        teaching.advance(theta_of(RULE), step)
    assert sorted(seen) == [task for task in "012" for _ in range(len(MEMBERS) + 1)]


def test_optimizees_of_large_losses_are_left_out():
    """As a meta-step leaves them out."""
    found = []
    for limit in (1e6, 1e-6):
        trainer = _trainer(LearnedMixture(MEMBERS), loss_limit=limit)
        trainer._teaching.advance(theta_of(RULE), 10)
        found.append(np.ptp(trainer._teaching.values))
    assert found[0] > 0 and found[1] == 0


def test_optimizees_that_are_not_finite_are_left_out():
    """And if all are, the weights stay."""
    trainer = _trainer(LearnedMixture(MEMBERS), optimizees_per_task=2)
    first, second = trainer._pool.slots
    found = []
    for spoilt in ((), (second,), (first, second)):
        for slot in spoilt:
            w = slot.optimizee.w * np.nan
            slot.optimizee = slot.optimizee._replace(w=w)
        trainer._teaching.values = trainer._teaching._teacher.start()
        trainer._teaching.advance(theta_of(RULE), 10)
        found.append(trainer._teaching.values)
    assert np.isfinite(found).all()
    assert np.ptp(found[0]) > 0 and np.ptp(found[1]) > 0 and np.ptp(found[2]) == 0
    assert np.any(found[0] != found[1])


def test_the_history_has_the_values():
    """Those that the meta-step was taken with; and the files of a run."""
    trainer = MetaTrainer(RULE, [mlp()], GapFeedback("sam", every=1), **SETTINGS)
    frame = trainer.fit(3, verbose=0).frame()
    strengths = frame["strength"].tolist()
    assert strengths[:2] == [1.0, 1.0] and strengths[2] in (
        pytest.approx(1.1),
        pytest.approx(1 / 1.1),
    )
    assert np.isfinite(frame["gap"].iloc[1:]).all()
    mixture = LearnedMixture(["sam", "sam"])
    assert mixture.names == ("weight_0_sam", "weight_1_sam")
    fixed = MetaTrainer(RULE, [mlp()], "sam", **SETTINGS)
    assert tuple(fixed.history.frame().columns) == fixed.history.COLUMNS


def test_presets_tell_of_the_teacher(tmp_path):
    trainer = MetaTrainer(RULE, [mlp()], GapFeedback(SAM(0.2), 1.5), **SETTINGS)
    trainer.save_to_preset(tmp_path / "preset")
    card = (tmp_path / "preset" / "README.md").read_text()
    assert "Teacher: gapfeedback" in card
    assert "regularizer=SAM(rho=0.2, relative=False), factor=1.5" in card


class _NoPenalty(Regularizer):
    def field(self, loss_fn, params, loss, g):
        return g

    def get_config(self):
        return {}


class _Scaled(_NoPenalty):
    def scaled(self, factor):
        return self


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GapFeedback(None), "`regularizer` must be given"),
        (lambda: GapFeedback("sam", factor=1.0), "`factor` must be above 1"),
        (lambda: GapFeedback("sam", limits=(2.0, 3.0)), "`limits` must be two numbers"),
        (lambda: GapFeedback("sam", limits=0.5), "`limits` must be two numbers"),
        (lambda: GapFeedback("sam", limits=(-1.0, 2.0)), "`limits` must be a positive"),
        (lambda: GapFeedback("sam", limits=("a", None)), "`limits` must be two numb"),
        (lambda: GapFeedback(_NoPenalty()), "a method `scaled`. Received: _NoPenalty"),
        (lambda: GapFeedback(SAM(RISING)), "`regularizer` must not follow a schedule"),
        (lambda: GapFeedback("sam", every=0), "`every` must be an integer >= 1"),
        (lambda: LearnedMixture(["sam"]), "`members` must be two or more"),
        (lambda: LearnedMixture("sam"), "`members` must be a list"),
        (lambda: LearnedMixture(None), "`members` must be a list"),
        (lambda: LearnedMixture(["none", SAM(RISING)]), "`members` must not follow a"),
        (lambda: LearnedMixture(learning_rate=0.0), "`learning_rate` must be a pos"),
    ],
)
def test_arguments_are_checked(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("teacher", "changes", "message"),
    [
        (SAM(RhoSchedule(0.0, 0.1)), {}, "must not follow a learning rate"),
        (Mixture([None, SAM(RhoSchedule(0.0, 0.1))]), {}, "not follow a learning rate"),
        (Mixture([None, _NoPenalty()]), {"estimator": "nres"}, "a method `penalty`"),
        (LearnedMixture(), {"tasks": [mlp(validation=False)]}, "need validation data"),
        (GapFeedback("gam"), {"tasks": [mlp(validation=False)]}, "need validation da"),
        (
            Mixture([None, _NoPenalty()]),
            {"rule": ScheduledMLP(3, 0.05), "dial": (0.1, 1.0), "estimator": "replay"},
            "a method `scaled`",
        ),
        (
            _Scaled(),
            {
                "rule": ScheduledMLP(3, 0.05),
                "dial": (0.1, 1.0),
                "estimator": "replay",
                "validation_every": 1,
            },
            "a method `penalty` for the score of a rule with a dial",
        ),
    ],
)
def test_a_trainer_checks_them(teacher, changes, message):
    arguments = {"rule": RULE, "tasks": [mlp()], **SETTINGS, **changes}
    with pytest.raises(ValueError, match=message):
        MetaTrainer(regularizer=teacher, **arguments)


def test_a_dial_works_with_all():
    """It multiplies the strength of each member."""
    of = objective(
        regularizer=LearnedMixture(["none", SAM(0.5)]), dial=(0.1, 1.0)
    ).taught(tf.constant([0.25, 0.75]))
    expected = objective(regularizer=Mixture([None, SAM(0.1)], [1.0, 3.0]))
    optimizees = start_of(of, rho=0.2), start_of(expected)
    one, other = (
        each.evaluate_penalty(optimizee, BATCH).meta_loss
        for each, optimizee in zip((of, expected), optimizees, strict=True)
    )
    assert float(one) == pytest.approx(float(other), rel=1e-6)
    assert isinstance(teachers.get(GAM()), teachers.Fixed)
    assert Teaching(meta_problem(mlp()), None, None, None).arrays() == {}

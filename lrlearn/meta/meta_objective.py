"""The objective of meta-training: the meta-loss on one task."""

import copy
import dataclasses
import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from lrlearn.meta import teachers
from lrlearn.meta.flat_params import FlatParams
from lrlearn.regularizers.gradients import value_and_gradients
from lrlearn.rules import CoordinatewiseRule, Run
from lrlearn.rules.update_rule import aligned
from lrlearn.stacking import is_sequential

# An LSTM of 2x10 units, 1,513 weights, gains a third: compiling takes 800 of its
# meta-gradients to win back. The MLP rules gain more than half.
_LARGEST_THETA = 1000
_HINGES = keras.losses.Hinge, keras.losses.SquaredHinge


class Start(NamedTuple):
    """What an optimizee starts from, drawn at random.

    Attributes:
        seed: Integer seed of the initial weights.
        steps: Number of steps of the run.
        initial_scale: Factor of the initial weights. Defaults to `1`.
        rho: Setting of the rule's dial. Defaults to `0`.
        factor: The model's parameters divided by those that the rule sees. Defaults to
            `1`.
        factor_range: Each tensor has a further factor, in `[1/r, r]`. Defaults to `1`.
    """

    seed: int
    steps: int
    initial_scale: float = 1.0
    rho: float = 0.0
    factor: float = 1.0
    factor_range: float = 1.0

    def factors(self, tensors):
        """Returns the factors of a number of tensors, an array."""
        log = np.log(self.factor_range)
        own = np.random.default_rng(self.seed).uniform(-log, log, tensors)
        return self.factor * np.exp(own)


class Optimizee(NamedTuple):
    """A model that the rule trains; every leaf is a tensor.

    Attributes:
        w: All parameters, flat, divided by `scale`, and some padding, float32 `[n]`.
        scale: Factors of the parameters, `[n]`.
        model_state: The model's non-trainable variables.
        rule_state: The rule's state, a dict.
        step: Number of steps taken, int32.
        run: The `Run` that it is in, of float32 scalars.
    """

    w: tf.Tensor
    scale: tf.Tensor
    model_state: list
    rule_state: dict
    step: tf.Tensor
    run: Run


class Evaluation(NamedTuple):
    """The value of a `MetaObjective` at an optimizee, and gradients there.

    Attributes:
        loss: The plain training loss $L(w)$.
        g: Its gradient on the training batch, `[n]`: all that the rule sees.
        meta_loss: The meta-loss; `evaluate_penalty` adds the teacher's penalty.
        v: Gradient of the meta-loss by the teacher's field, `[n]`; `None` from
            `evaluate_penalty`.
        model_state: The model's non-trainable variables after one pass.
    """

    loss: tf.Tensor
    g: tf.Tensor
    meta_loss: tf.Tensor
    v: tf.Tensor | None
    model_state: list


class MetaObjective:
    r"""The meta-loss of a rule on a task, with a regularizer as the teacher.

    With the regularizer's field $F$ (without one, the plain gradient), the meta-loss
    $\ell$ of a point has the gradient $v = F(w)$, or $v = F(w)/L(w)$ if
    $\ell = \log L$. Its penalty $R$ gives $\ell = L + R$ or $\ell = \log(L + R)$. In
    logarithms `loss_offset` is added to the loss. Both are multiplied by a weight of
    mean 1 that depends on how much of the run is done: the share `late_weight` is for
    the last fifth, the rest for the whole run. If the settings have a dial, the
    regularizer's strength is multiplied by its setting.

    Args:
        rule: An `UpdateRule`.
        task: A `Task`.
        regularizer: A `Regularizer`, the teacher, or `None`; or a `Teacher`, which is
            as it starts until it is `taught` otherwise.
        settings: The `MetaSettings`.

    Attributes:
        flat: The `FlatParams`, how parameters lie in `Optimizee.w`.
    """

    def __init__(self, rule, task, regularizer, settings):
        self.rule, self.task, self.settings = rule, task, settings
        self._teacher = teachers.get(regularizer)
        self._regularizer = self._teacher.regularizer(self._teacher.start())
        self._dial = settings.dial is not None
        weights, _ = task.variables(task.model)
        n = sum(int(np.prod(w.shape)) for w in weights)
        # Rows of coordinates are then whole cache lines.
        padding = aligned(n) - n if isinstance(rule, CoordinatewiseRule) else 0
        self.flat = FlatParams(weights, padding)

    @property
    def stacks(self):
        """Whether several optimizees are computed faster at once than in turn."""
        _, state = self.task.variables(self.task.model)
        sequential = is_sequential(self.flat.shapes, state)
        return not sequential and not _branches(self.task.loss)

    @property
    def suits_xla(self):
        """Whether XLA was measured to pay: not for convolutions and large rules."""
        theta = sum(math.prod(shape) for shape in self.rule.theta_shapes().values())
        return theta <= _LARGEST_THETA and not is_sequential(self.flat.shapes)

    def taught(self, values):
        """Returns this objective with the teacher at some of its values, a tensor."""
        other = copy.copy(self)
        other._regularizer = self._teacher.regularizer(values)
        return other

    def held_out(self):
        """Returns the objective of the plain loss on validation batches."""
        settings = dataclasses.replace(self.settings, meta_split="validation")
        return MetaObjective(self.rule, self.task, None, settings)

    def start(self, start):
        """Returns the `Optimizee` of a new initialization.

        Args:
            start: A `Start`.
        """
        params, model_state = self.task.init(start.seed, start.initial_scale)
        scale = self.flat.repeat(start.factors(len(self.flat.shapes)))
        run = Run(start.steps, self.task.epochs(start.steps), start.rho)
        return Optimizee(
            w=self.flat.flatten(params) / scale,
            scale=scale,
            model_state=[tf.convert_to_tensor(v) for v in model_state],
            rule_state=self.rule.initial_state(self.flat.shapes),
            step=tf.zeros((), tf.int32),
            run=Run(*(tf.constant(value, tf.float32) for value in run)),
        )

    def params(self, optimizee):
        """Returns the model's parameters, a list of tensors."""
        return self.flat.unflatten(optimizee.w * optimizee.scale)

    def batch(self, seed):
        """Returns what one evaluation is on: examples `(x, y)` of each split it needs.

        Args:
            seed: Integer tensor `[2]` that chooses them.
        """
        splits = {"train", self.settings.meta_split}
        return {split: self.task.batch(split, seed) for split in splits}

    def gradient(self, optimizee, batch):
        """Returns the plain gradient `[n]` on a training batch, and the model's state.

        Args:
            optimizee: An `Optimizee`.
            batch: What `batch` returned.
        """
        loss_fn, states = self._loss_fn("train", optimizee, batch)
        _, g = value_and_gradients(loss_fn, self.params(optimizee))
        return self.flat.flatten(g) * optimizee.scale, states[0]

    def evaluate_field(self, optimizee, batch):
        """Returns the `Evaluation` by the teacher's field; as `gradient`."""
        plain, meta_loss_fn, params = self._evaluate(optimizee, batch)
        meta_loss, v = plain.meta_loss, plain.v
        regularizer = self._dialled(optimizee)
        if regularizer is not None:
            v = regularizer.field(meta_loss_fn, params, meta_loss, v)
        v = self.flat.flatten(v) * optimizee.scale
        if self.settings.meta_loss == "log":
            v = v / (meta_loss + self.settings.loss_offset)
        weight = self._weight(optimizee)
        return plain._replace(meta_loss=weight * self._log(meta_loss), v=weight * v)

    def evaluate_penalty(self, optimizee, batch):
        """Returns the `Evaluation` by the teacher's penalty; as `gradient`."""
        plain, meta_loss_fn, params = self._evaluate(optimizee, batch)
        meta_loss = plain.meta_loss + self._penalty(optimizee, meta_loss_fn, params)
        meta_loss = self._weight(optimizee) * self._log(meta_loss)
        return plain._replace(meta_loss=meta_loss, v=None)

    def score(self, optimizee, x, y):
        """Returns the loss on examples; for a rule with a dial, plus the penalty."""
        loss_fn, _ = self.task.loss_fn(optimizee.model_state, x, y, training=False)
        params = self.params(optimizee)
        loss = loss_fn(params)
        return loss + self._penalty(optimizee, loss_fn, params) if self._dial else loss

    def gap(self, optimizee, seed):
        r"""Returns $\log L_\mathrm{validation} - \log L_\mathrm{train}$ on batches."""
        params = self.params(optimizee)
        validation, train = (
            self.task.loss_fn(
                optimizee.model_state, *self.task.batch(split, seed), training=False
            )[0](params)
            for split in ("validation", "train")
        )
        offset = self.settings.loss_offset
        return tf.math.log(validation + offset) - tf.math.log(train + offset)

    def _evaluate(self, optimizee, batch):
        """Returns the `Evaluation` without a teacher, and what a teacher needs."""
        params = self.params(optimizee)
        loss_fn, states = self._loss_fn("train", optimizee, batch)
        loss, g = value_and_gradients(loss_fn, params)
        meta_loss_fn, meta_loss, v = loss_fn, loss, g
        if self.settings.meta_split != "train":
            split = self.settings.meta_split
            meta_loss_fn, _ = self._loss_fn(split, optimizee, batch)
            meta_loss, v = value_and_gradients(meta_loss_fn, params)
        # The first pass moves BatchNorm's statistics and draws Dropout's masks; the
        # teacher's further passes start from the same state, and theirs is dropped.
        g = self.flat.flatten(g) * optimizee.scale
        plain = Evaluation(loss, g, meta_loss, v, states[0])
        return plain, meta_loss_fn, params

    def _penalty(self, optimizee, loss_fn, params):
        regularizer = self._dialled(optimizee)
        if regularizer is None:
            return 0.0
        return tf.cast(regularizer.penalty(loss_fn, params), tf.float32)

    def _dialled(self, optimizee):
        """Returns the regularizer at the optimizee's setting of the dial."""
        if self._regularizer is None or not self._dial:
            return self._regularizer
        return self._regularizer.scaled(optimizee.run.rho)

    def _weight(self, optimizee):
        done = tf.cast(optimizee.step, tf.float32) / optimizee.run.total_steps
        late = self.settings.late_weight
        return 1.0 - late + 5.0 * late * tf.cast(done > 0.8, tf.float32)

    def _log(self, loss):
        if self.settings.meta_loss == "loss":
            return loss
        return tf.math.log(loss + self.settings.loss_offset)

    def _loss_fn(self, split, optimizee, batch):
        return self.task.loss_fn(optimizee.model_state, *batch[split])


def _branches(loss):
    """Returns whether a loss branches, here on the kind of labels that a batch has.

    Stacked, a branch has no form that XLA compiles.
    """
    functions = keras.losses.hinge, keras.losses.squared_hinge
    return isinstance(loss, _HINGES) or any(loss is each for each in functions)

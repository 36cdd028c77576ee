"""A task as a problem of meta-training."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lrlearn.regularizers.gradients import value_and_gradients
from lrlearn.rules.update_rule import aligned


class Optimizee(NamedTuple):
    """A model in training by the rule; every leaf is a tensor.

    Attributes:
        w: All parameters, flat, and some padding, float32 `[n]`.
        model_state: The model's non-trainable variables.
        statistics: State of what the rule observes of whole tensors.
        accumulators: State of the rule's features.
        memory: State of the rule's recurrence.
        step: Number of steps taken, int32.
    """

    w: tf.Tensor
    model_state: list
    statistics: dict
    accumulators: dict
    memory: dict
    step: tf.Tensor


class Lesson(NamedTuple):
    """What the teacher says of one point in parameter space.

    Attributes:
        loss: The plain training loss $L(w)$.
        g: Its gradient on the training batch, `[n]`: all that the rule sees.
        v: Gradient of the meta-loss at `w`, `[n]`, the teacher's field.
        meta_loss: The value of the meta-loss, without the teacher's penalty.
        model_state: The model's non-trainable variables after one pass.
    """

    loss: tf.Tensor
    g: tf.Tensor
    v: tf.Tensor
    meta_loss: tf.Tensor
    model_state: list


class Verdict(NamedTuple):
    """What is to say of one point in parameter space, without the teacher's field.

    Attributes:
        loss: The plain training loss $L(w)$.
        g: Its gradient on the training batch, `[n]`: all that the rule sees.
        meta_loss: The value of the meta-loss, with the teacher's penalty.
        model_state: The model's non-trainable variables after one pass.
    """

    loss: tf.Tensor
    g: tf.Tensor
    meta_loss: tf.Tensor
    model_state: list


class Problem:
    r"""One task, with the teacher and the meta-loss by which a rule is judged on it.

    With the regularizer's field $F$ (the plain gradient where there is none), the
    meta-loss $\ell$ of a point has the gradient $v = F(w)$, or $v = F(w)/L(w)$ where
    $\ell = \log L$.

    Args:
        task: A `Task`.
        regularizer: A `Regularizer`, the teacher, or `None`.
        meta_loss: `"log"` or `"loss"`. Defaults to `"log"`.
        meta_split: Whose batches the meta-loss is taken on: `"train"` (the same batch
            as the rule's gradient) or `"validation"`. Defaults to `"train"`.
    """

    def __init__(self, task, regularizer=None, meta_loss="log", meta_split="train"):
        self.task = task
        self.regularizer = regularizer
        self.meta_loss = meta_loss
        self.meta_split = meta_split
        weights, _ = task.variables(task.model)
        n = sum(int(np.prod(w.shape)) for w in weights)
        padding = aligned(n) - n
        self.shapes = [*(tuple(w.shape) for w in weights), (padding,)]
        self._dtypes = [w.dtype for w in weights]
        self._sizes = [int(np.prod(shape)) for shape in self.shapes]
        self.num_coordinates = sum(self._sizes)

    def start(self, rule, seed, scale=1.0):
        """Returns the `Optimizee` of a new initialization.

        Args:
            rule: An `UpdateRule`.
            seed: Integer seed of the initial weights.
            scale: Factor of the initial weights. Defaults to `1`.
        """
        params, model_state = self.task.init(seed, scale)
        return Optimizee(
            w=self._flatten(params),
            model_state=[tf.convert_to_tensor(v) for v in model_state],
            **rule.initial_state(self.shapes),
            step=tf.zeros((), tf.int32),
        )

    def structure(self, rule):
        """Returns an `Optimizee` whose leaves only stand for its tensors."""
        return Optimizee(
            w=None,
            model_state=self.task.variables(self.task.model)[1],
            **rule.initial_state(1),
            step=None,
        )

    def unflatten(self, w):
        """Returns the model's parameters, a list of tensors, from a flat `[n]`."""
        return [
            tf.cast(tf.reshape(part, shape), dtype)
            for part, shape, dtype in zip(
                tf.split(w, self._sizes)[:-1],
                self.shapes[:-1],
                self._dtypes,
                strict=True,
            )
        ]

    def gradient(self, w, model_state, seed):
        """Returns the plain gradient `[n]` on a training batch, and the model's state.

        Args:
            w: Flat parameters `[n]`.
            model_state: The model's non-trainable variables.
            seed: Integer tensor `[2]` that chooses the batch.
        """
        loss_fn, states = self._loss_fn("train", model_state, seed)
        _, g = value_and_gradients(loss_fn, self.unflatten(w))
        return self._flatten(g), states[0]

    def teach(self, w, model_state, seed):
        """Returns the `Lesson` of a point; arguments as for `gradient`."""
        params = self.unflatten(w)
        loss_fn, states = self._loss_fn("train", model_state, seed)
        loss, g = value_and_gradients(loss_fn, params)
        if self.meta_split == "train":
            judge_fn, judged, v = loss_fn, loss, g
        else:
            judge_fn, _ = self._loss_fn(self.meta_split, model_state, seed)
            judged, v = value_and_gradients(judge_fn, params)
        if self.regularizer is not None:
            v = self.regularizer.field(judge_fn, params, judged, v)
        v, meta_loss = self._flatten(v), judged
        if self.meta_loss == "log":
            judged = tf.maximum(judged, 1e-8)
            v, meta_loss = v / judged, tf.math.log(judged)
        # The first pass moves BatchNorm's statistics and draws Dropout's masks; the
        # teacher's further passes start from the same state, and theirs is dropped.
        return Lesson(loss, self._flatten(g), v, meta_loss, states[0])

    def judge(self, w, model_state, seed):
        """Returns the `Verdict` of a point; arguments as for `gradient`."""
        params = self.unflatten(w)
        loss_fn, states = self._loss_fn("train", model_state, seed)
        loss, g = value_and_gradients(loss_fn, params)
        judge_fn, judged = loss_fn, loss
        if self.meta_split != "train":
            judge_fn, _ = self._loss_fn(self.meta_split, model_state, seed)
            judged = judge_fn(params)
        if self.regularizer is not None:
            penalty = self.regularizer.penalty(judge_fn, params)
            judged += tf.cast(penalty, judged.dtype)
        if self.meta_loss == "log":
            judged = tf.math.log(tf.maximum(judged, 1e-8))
        return Verdict(loss, self._flatten(g), judged, states[0])

    def _flatten(self, tensors):
        flat = [tf.reshape(tf.cast(t, tf.float32), [-1]) for t in tensors]
        return tf.concat([*flat, tf.zeros(self.shapes[-1])], axis=0)

    def _loss_fn(self, split, model_state, seed):
        x, y = self.task.batch(split, seed)
        states = []

        def loss_fn(params):
            loss, _, state = self.task.evaluate_loss(
                params, model_state, x, y, training=True
            )
            states.append(state)
            return loss

        return loss_fn, states

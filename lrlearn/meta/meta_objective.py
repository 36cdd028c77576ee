"""The objective of meta-training: the meta-loss on one task."""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from lrlearn.regularizers.gradients import value_and_gradients
from lrlearn.regularizers.vectors import flatten
from lrlearn.rules.update_rule import aligned


class Optimizee(NamedTuple):
    """A model that the rule trains; every leaf is a tensor.

    Attributes:
        w: All parameters, flat, and some padding, float32 `[n]`.
        model_state: The model's non-trainable variables.
        rule_state: The rule's state, a dict.
        step: Number of steps taken, int32.
    """

    w: tf.Tensor
    model_state: list
    rule_state: dict
    step: tf.Tensor


class Evaluation(NamedTuple):
    """The value of a `MetaObjective` at one point, and gradients there.

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
    $\ell = \log L$. Its penalty $R$ gives $\ell = L + R$ or $\ell = \log(L + R)$.

    Args:
        rule: An `UpdateRule`.
        task: A `Task`.
        regularizer: A `Regularizer`, the teacher, or `None`.
        meta_loss: `"log"` or `"loss"`. Defaults to `"log"`.
        meta_split: Split of the meta-loss's batches: `"train"` (the batch of the rule's
            gradient) or `"validation"`. Defaults to `"train"`.
    """

    def __init__(
        self, rule, task, regularizer=None, meta_loss="log", meta_split="train"
    ):
        self.rule, self.task = rule, task
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

    def start(self, seed, scale=1.0):
        """Returns the `Optimizee` of a new initialization.

        Args:
            seed: Integer seed of the initial weights.
            scale: Factor of the initial weights. Defaults to `1`.
        """
        params, model_state = self.task.init(seed, scale)
        return Optimizee(
            w=self._flatten(params),
            model_state=[tf.convert_to_tensor(v) for v in model_state],
            rule_state=self.rule.initial_state(self.shapes),
            step=tf.zeros((), tf.int32),
        )

    def unflatten(self, w):
        """Returns the model's parameters, a list of tensors, from a flat `[n]`."""
        parts = tf.split(w, self._sizes)[:-1]
        return [
            tf.cast(tf.reshape(part, shape), dtype)
            for part, shape, dtype in zip(
                parts, self.shapes[:-1], self._dtypes, strict=True
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

    def evaluate_field(self, w, model_state, seed):
        """Returns the `Evaluation` by the teacher's field; as `gradient`."""
        plain, meta_loss_fn, params = self._evaluate(w, model_state, seed)
        meta_loss, v = plain.meta_loss, plain.v
        if self.regularizer is not None:
            v = self.regularizer.field(meta_loss_fn, params, meta_loss, v)
        v = self._flatten(v)
        if self.meta_loss == "log":
            meta_loss = tf.maximum(meta_loss, 1e-8)
            v, meta_loss = v / meta_loss, tf.math.log(meta_loss)
        return plain._replace(meta_loss=meta_loss, v=v)

    def evaluate_penalty(self, w, model_state, seed):
        """Returns the `Evaluation` by the teacher's penalty; as `gradient`."""
        plain, meta_loss_fn, params = self._evaluate(w, model_state, seed)
        meta_loss = plain.meta_loss
        if self.regularizer is not None:
            penalty = self.regularizer.penalty(meta_loss_fn, params)
            meta_loss += tf.cast(penalty, meta_loss.dtype)
        if self.meta_loss == "log":
            meta_loss = tf.math.log(tf.maximum(meta_loss, 1e-8))
        return plain._replace(meta_loss=meta_loss, v=None)

    def _evaluate(self, w, model_state, seed):
        """Returns the `Evaluation` without a teacher, and what a teacher needs."""
        params = self.unflatten(w)
        loss_fn, states = self._loss_fn("train", model_state, seed)
        loss, g = value_and_gradients(loss_fn, params)
        meta_loss_fn, meta_loss, v = loss_fn, loss, g
        if self.meta_split != "train":
            meta_loss_fn, _ = self._loss_fn(self.meta_split, model_state, seed)
            meta_loss, v = value_and_gradients(meta_loss_fn, params)
        # The first pass moves BatchNorm's statistics and draws Dropout's masks; the
        # teacher's further passes start from the same state, and theirs is dropped.
        plain = Evaluation(loss, self._flatten(g), meta_loss, v, states[0])
        return plain, meta_loss_fn, params

    def _flatten(self, tensors):
        return flatten([*tensors, tf.zeros(self.shapes[-1])])

    def _loss_fn(self, split, model_state, seed):
        return self.task.loss_fn(model_state, *self.task.batch(split, seed))

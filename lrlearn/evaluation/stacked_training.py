"""Trains several initializations of a task at once, with stacked parameters."""

import time

import keras
import tensorflow as tf

from lrlearn.evaluation.stacking import is_sequential, map_stacked
from lrlearn.regularizers.gradients import value_and_gradients


class StackedTraining:
    """K runs of a task by one Keras optimizer, differing in nothing but their seeds.

    Gradients are computed for all runs together, on parameters `[K, ...]`. The
    optimizer has variables of its own for each run, so that whatever it computes of a
    whole tensor, such as factored statistics, stays apart; optimizers that mix
    variables (clipping by a global norm) would mix runs. Runs share initial parameters
    and batches with those of `Training` of the same seeds.

    Args:
        task: A `Task`.
        optimizer: A Keras optimizer, not yet used.
        count: Number K of runs.
        regularizer: A `Regularizer` whose field the optimizer is given in place of the
            plain gradient, or `None`. Defaults to `None`.

    Attributes:
        training_cpu_seconds: CPU time of the steps since `start`, of all runs together,
            without what compiling took.

    Example:
        >>> import keras
        >>> import lrlearn
        >>> from lrlearn.evaluation import StackedTraining
        >>> task = lrlearn.tasks.load("digits/mlp")
        >>> training = StackedTraining(task, keras.optimizers.Adam(0.01), count=2)
        >>> training.start(seeds=[0, 1])
        >>> training.train(10)
        >>> [tuple(w.shape) for w in training.params]
        [(2, 64, 20), (2, 20), (2, 20, 10), (2, 10)]
    """

    def __init__(self, task, optimizer, count, regularizer=None):
        self.task, self.optimizer, self.regularizer = task, optimizer, regularizer
        self.count, self.training_cpu_seconds = count, 0.0
        self._step, self._seeds = 0, None
        params, state = task.init(0)
        self._params = [[keras.Variable(w) for w in params] for _ in range(count)]
        self._state = [
            [tf.Variable(v, trainable=False) for v in state] for _ in range(count)
        ]
        # Draws of dropout, from seeds in the state, have no stacked form.
        self._one_by_one = is_sequential(self._stack(self._params)) or bool(state)
        optimizer.build(self._flat_params())
        self._fresh = [v.numpy() for v in optimizer.variables]
        self._compiled = {
            plain: tf.function(
                lambda *args, plain=plain: self._take_steps(plain, *args),
                autograph=False,
            )
            for plain in (False, True)
        }
        self._warm = set()

    @property
    def params(self):
        """The parameters, a list of tensors `[K, ...]`: averages where they are kept.

        An optimizer with `use_ema` is judged by the averages it would end with.
        """
        if not getattr(self.optimizer, "use_ema", False):
            return self._stack(self._params)
        # Public only in SwapEMAWeights, which needs a model.
        averages = iter(self.optimizer._model_variables_moving_average)
        return self._stack([[next(averages) for _ in run] for run in self._params])

    @property
    def state(self):
        """The models' non-trainable variables, a list of tensors `[K, ...]`."""
        return self._stack(self._state)

    def start(self, seeds):
        """Starts afresh from the initializations of K seeds.

        Args:
            seeds: A list of K integers.
        """
        if len(seeds) != self.count:
            raise ValueError(
                f"`seeds` must be {self.count} integers. Received: {seeds=}"
            )
        for params, state, seed in zip(self._params, self._state, seeds, strict=True):
            values = self.task.init(seed)
            for variable, value in zip([*params, *state], sum(values, []), strict=True):
                variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        if getattr(self.optimizer, "use_ema", False):
            averages = self.optimizer._model_variables_moving_average
            for average, w in zip(averages, self._flat_params(), strict=True):
                average.assign(w)
        self._step, self._seeds = 0, tf.constant([[seed, 0] for seed in seeds])
        self.training_cpu_seconds = 0.0

    def train(self, until, plain=False):
        """Trains up to a step.

        Args:
            until: Number of the last step, counted from `start`.
            plain: Whether to leave out the regularizer. Defaults to `False`.
        """
        plain = plain or self.regularizer is None
        steps = self._compiled[plain]
        if plain not in self._warm:
            # No step: compiles.
            steps(self._seeds, tf.constant(0), tf.constant(0))
            self._warm.add(plain)
        began = time.process_time()
        steps(self._seeds, tf.constant(self._step), tf.constant(until))
        self.training_cpu_seconds += time.process_time() - began
        self._step = until

    def _flat_params(self):
        return [w for run in self._params for w in run]

    def _stack(self, runs):
        return [
            tf.stack([tf.convert_to_tensor(v) for v in same])
            for same in zip(*runs, strict=True)
        ]

    def _take_steps(self, plain, seeds, first, last):
        regularizer = None if plain else self.regularizer
        seeds = tf.unstack(seeds, self.count)

        def body(step):
            fold_in = tf.random.experimental.stateless_fold_in
            batches = [self.task.batch("train", fold_in(s, step)) for s in seeds]
            x, y = (tf.stack(part) for part in zip(*batches, strict=True))
            self._apply(*self._differentiate(regularizer, x, y))
            return (step + 1,)

        tf.while_loop(lambda step: step < last, body, (first,))

    def _differentiate(self, regularizer, x, y):
        """Returns gradients and states after the step, lists of tensors `[K, ...]`."""

        def of_one(elements):
            params, state, x, y = elements
            states = []

            def loss_fn(params):
                loss, _, after = self.task.evaluate_loss(
                    params, state, x, y, training=True
                )
                states.append(after)
                return loss

            field = (
                value_and_gradients if regularizer is None else regularizer.gradients
            )
            _, gradients = field(loss_fn, params)
            return gradients, states[0]

        elements = (self._stack(self._params), self._stack(self._state), x, y)
        return map_stacked(of_one, elements, self._one_by_one)

    def _apply(self, gradients, states):
        per_run = zip(*(tf.unstack(g, self.count) for g in gradients), strict=True)
        flat = [g for run in per_run for g in run]
        self.optimizer.apply(flat, self._flat_params())
        for variables, values in zip(
            zip(*self._state, strict=True), states, strict=True
        ):
            for variable, value in zip(
                variables, tf.unstack(values, self.count), strict=True
            ):
                variable.assign(value)

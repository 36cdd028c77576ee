"""Trains tasks with any Keras optimizer, several runs at once on one graph."""

import functools
import time

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from lrlearn import regularizers
from lrlearn.checks import check_count
from lrlearn.optimizers.backends import apply_reduced
from lrlearn.optimizers.run_length import set_run_length
from lrlearn.regularizers.gradients import value_and_gradients
from lrlearn.stacking import is_sequential, map_stacked, scores, stack, unstack
from lrlearn.tasks.task import SPLITS

_MAX_EXAMPLES = 2000


class Training:
    """K runs of a task by one Keras optimizer, which differ in their seeds alone.

    Each `start` takes fresh parameters and a fresh optimizer; the graph is made once.
    Batches are drawn with replacement. A run is determined by its seed, so runs of
    different optimizers with the same seed are paired: they share initial parameters
    and batches.

    Gradients are computed for all runs together, on parameters `[K, ...]`. The
    optimizer sees the variables of each run as different variables, so statistics of
    whole tensors are not mixed. An optimizer that mixes variables (clipping by a global
    norm) would mix runs.

    Args:
        task: A `Task`.
        optimizer: A Keras optimizer, not yet used, or its name.
        regularizer: A `Regularizer` (or its name) whose field replaces the plain
            gradient, or `None`. Defaults to `None`.
        count: Number K of runs. Defaults to `1`.

    Attributes:
        model: The Keras model of the first run, with the parameters it has reached.
        training_cpu_seconds: CPU time of the steps since `start`, of all runs together,
            without compilation.

    Example:
        >>> import keras
        >>> import lrlearn
        >>> task = lrlearn.tasks.load("digits/mlp")
        >>> optimizer = keras.optimizers.Adam(0.01)
        >>> training = lrlearn.evaluation.Training(task, optimizer, count=2)
        >>> table = training.run(steps=100, seeds=[0, 1])
        >>> table[["seed", "step"]].values.tolist()
        [[0, 0], [1, 0], [0, 100], [1, 100]]
        >>> [tuple(w.shape) for w in training.params]
        [(2, 64, 20), (2, 20), (2, 20, 10), (2, 10)]
    """

    def __init__(self, task, optimizer, regularizer=None, count=1):
        self.task, self.optimizer = task, keras.optimizers.get(optimizer)
        if self.optimizer.built:
            raise ValueError(
                "`optimizer` must be new, as each run starts from its state. Received: "
                f"{self.optimizer.name}, which has been used"
            )
        self.regularizer = regularizers.get(regularizer)
        self.count, self.training_cpu_seconds = check_count("count", count), 0.0
        self.model = task.model_fn()
        if not self.model.built:
            self.model(task.train[0][:1])
        variables = task.variables(self.model)
        copies = [[_copies(group) for group in variables] for _ in range(1, count)]
        self._params, self._state = zip(variables, *copies, strict=True)
        shapes = [w.shape for w in self._params[0]]
        self._one_by_one = is_sequential(shapes, self._state[0])
        self.optimizer.build(_flat(self._params))
        self._fresh = [v.numpy() for v in self.optimizer.variables]
        self._steps, self._warm = tf.function(self._take_steps, autograph=False), set()
        self._scores = tf.function(functools.partial(scores, task), autograph=False)
        self._step = None
        self._data = {
            split: [tf.constant(a[:_MAX_EXAMPLES]) for a in data]
            for split in SPLITS
            if (data := getattr(task, split)) is not None
        }

    @property
    def params(self):
        """The parameters, a list of tensors `[K, ...]`.

        Of an optimizer with `use_ema` they are the averages that it would end with.
        """
        if not getattr(self.optimizer, "use_ema", False):
            return stack(self._params)
        # Public only in SwapEMAWeights, which needs a model.
        averages = iter(self.optimizer._model_variables_moving_average)
        return stack([[next(averages) for _ in run] for run in self._params])

    @property
    def state(self):
        """The models' non-trainable variables, a list of tensors `[K, ...]`."""
        return stack(self._state)

    def run(self, steps, seeds, learning_rate=None, record_every=None):
        """Trains from a fresh start, once for each seed, and evaluates on the way.

        Args:
            steps: Number of steps.
            seeds: An integer, or a list of a multiple of K, of which K at a time are
                trained.
            learning_rate: See `start`.
            record_every: Steps between two evaluations. Defaults to `None`: only at the
                start and at the end.

        Returns:
            A `pandas.DataFrame` with one row for each evaluation of a run: `seed`,
            `step`, and the results of `evaluate`.
        """
        steps = check_count("steps", steps)
        if record_every is None:
            record_every = steps
        every = check_count("record_every", record_every)
        rows, seeds = [], np.atleast_1d(seeds).tolist()
        if len(seeds) % self.count:
            raise ValueError(
                f"`seeds` must be a multiple of {self.count} integers, as many runs as "
                f"are trained at a time. Received: {seeds=}"
            )
        for first in range(0, len(seeds), self.count):
            together = seeds[first : first + self.count]
            self.start(together, learning_rate, steps)
            for step in [*range(0, steps, every), steps]:
                self.train(step)
                for seed, result in zip(together, self.evaluate(), strict=True):
                    rows.append({"seed": seed, "step": step, **result})
        return pd.DataFrame(rows)

    def start(self, seeds, learning_rate=None, steps=None):
        """Starts K new runs.

        Args:
            seeds: A list of K integers, one for each run: seeds of the initial
                parameters and of the batches.
            learning_rate: Learning rate from now on, or `None` for the optimizer's own.
                Defaults to `None`.
            steps: Number of steps to come, which a rule with a learned schedule is
                told. Defaults to `None`, not known.
        """
        if len(seeds) != self.count:
            raise ValueError(
                f"`seeds` must be {self.count} integers. Received: {seeds=}"
            )
        for params, state, seed in zip(self._params, self._state, seeds, strict=True):
            values = _flat(self.task.init(seed))
            for variable, value in zip([*params, *state], values, strict=True):
                variable.assign(value)
        for variable, value in zip(self.optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        if getattr(self.optimizer, "use_ema", False):
            averages = self.optimizer._model_variables_moving_average
            for average, w in zip(averages, _flat(self._params), strict=True):
                average.assign(w)
        if learning_rate is not None:
            self.optimizer.learning_rate = learning_rate
        if steps is not None:
            set_run_length(self.optimizer, steps, self.task.epochs(steps))
        self._step, self._seeds = 0, tf.constant([[seed, 0] for seed in seeds])
        self.training_cpu_seconds = 0.0

    def train(self, until, plain=False):
        """Trains up to a step.

        Args:
            until: Number of the last step, counted from `start`; none is taken twice.
            plain: Whether to leave out the regularizer. Defaults to `False`.
        """
        if self._step is None:
            raise ValueError("`start` must be called before `train`.")
        until = check_count("until", until, minimum=self._step)
        plain = plain or self.regularizer is None
        if plain not in self._warm:  # Taking no step compiles.
            self._steps(plain, self._seeds, tf.constant(0), tf.constant(0))
            self._warm.add(plain)
        began = time.process_time()
        self._steps(plain, self._seeds, tf.constant(self._step), tf.constant(until))
        self.training_cpu_seconds += time.process_time() - began
        self._step = until

    def arrays(self):
        """Returns all that the runs have come to, a dict of names to NumPy arrays."""
        variables = {
            f"variable/{i}": np.asarray(v.numpy())
            for i, v in enumerate(self._variables)
        }
        return {"step": np.array(self._step), **variables}

    def restore(self, arrays):
        """Takes what `arrays` returned after the same `start`; `train` then goes on."""
        for i, variable in enumerate(self._variables):
            variable.assign(arrays[f"variable/{i}"])
        self._step = int(arrays["step"])

    def evaluate(self):
        """Returns losses and metrics, one dict a run.

        The keys are `<split>_loss` and `<split>_<metric>` for `train`, `validation` and
        `test`, as far as the task has them, on the first 2,000 examples of each. The
        metric has its function's name, `accuracy` unless the task has its own.
        """
        columns = {}
        for split, data in self._data.items():
            loss, metric = self._scores(self.params, self.state, *data)
            columns[f"{split}_loss"] = loss.numpy().tolist()
            columns[f"{split}_{self.task.metric.__name__}"] = metric.numpy().tolist()
        rows = zip(*columns.values(), strict=True)
        return [dict(zip(columns, row, strict=True)) for row in rows]

    @property
    def _variables(self):
        runs = _flat(self._params) + _flat(self._state)
        return [*runs, *self.optimizer.variables]

    def _take_steps(self, plain, seeds, first, last):
        seeds = tf.unstack(seeds, self.count)

        def body(step):
            fold_in = tf.random.experimental.stateless_fold_in
            batches = [self.task.batch("train", fold_in(s, step)) for s in seeds]
            x, y = stack(batches)
            self._apply(*self._differentiate(self._field(plain), x, y))
            return (step + 1,)

        tf.while_loop(lambda step: step < last, body, (first,))

    def _field(self, plain):
        """Returns the function that computes gradients at this step."""
        if plain:
            return value_and_gradients
        optimizer = self.optimizer
        regularizer = self.regularizer.resolve(
            optimizer.learning_rate, optimizer.iterations
        )
        return regularizer.gradients

    def _differentiate(self, field, x, y):
        """Returns gradients and states after the step, lists of tensors `[K, ...]`."""

        def of_one(elements):
            params, state, x, y = elements
            loss_fn, states = self.task.loss_fn(state, x, y)
            _, gradients = field(loss_fn, params)
            return gradients, states[0]

        elements = (stack(self._params), stack(self._state), x, y)
        return map_stacked(of_one, elements, self._one_by_one)

    def _apply(self, gradients, states):
        gradients, states = (
            unstack(stacked, self.count) for stacked in (gradients, states)
        )
        apply_reduced(self.optimizer, _flat(gradients), _flat(self._params))
        for variable, value in zip(_flat(self._state), _flat(states), strict=True):
            variable.assign(value)


def _flat(runs):
    return [value for run in runs for value in run]


def _copies(variables):
    return [_copy(variable) for variable in variables]


def _copy(variable):
    copy = keras.Variable(
        variable.numpy(),
        trainable=variable.trainable,
        dtype=variable.dtype,
        name=variable.name,
    )
    copy.constraint = variable.constraint
    return copy

"""An update rule's state for all variables of a model together."""

import functools

from keras import ops

from lrlearn.optimizers import xla
from lrlearn.optimizers.flat_rule import FlatRule
from lrlearn.rules import Run


class FlatState:
    """The rule's state for several tensors, kept and updated as one.

    Args:
        rule: An `UpdateRule`.
        shapes: The tensors' shapes, a list of tuples.
        add_variable: `keras.optimizers.Optimizer.add_variable`.
        jit_compile: Whether XLA compiles the update; if `None`, if it pays.
        guard: See `FlatRule`.
    """

    def __init__(self, rule, shapes, add_variable, jit_compile=None, guard=False):
        if jit_compile is None:
            jit_compile = xla.pays(rule, shapes)
        jit_compile = jit_compile and xla.is_available()
        self._flat_rule = FlatRule(rule, shapes, jit_compile, guard)
        update = self._flat_rule.update
        self._update = xla.compiled(update) if jit_compile else update
        # In the order of the paths, so that one backend's files fit another.
        self._variables = {
            path: add_variable(
                self._flat_rule.state_shape(path, leaf),
                # A function, since Keras calls it outside of graphs.
                initializer=functools.partial(self._initial_leaf, path),
                dtype="float32",
                name="_".join(map(str, path)),
            )
            for path, leaf in sorted(self._flat_rule.initial_leaves().items())
        }

    def update(self, theta, gradients, values, step, run, assign):
        """Runs the rule, and assigns its new state.

        Args:
            theta: The rule's weights, a dict of tensors.
            gradients: A list of tensors, `None` for tensors that stay as they are.
            values: A list of tensors or variables.
            step: Number of this step, from 1.
            run: A `Run`.
            assign: `keras.optimizers.Optimizer.assign`.

        Returns:
            The rule's updates, a list of float32 tensors.
        """
        old = {path: ops.cast(v, "float32") for path, v in self._variables.items()}
        values = [ops.convert_to_tensor(value) for value in values]
        run = Run(*(ops.cast(value, "float32") for value in run))
        d, new = self._update(theta, gradients, values, old, step, run)
        for path, variable in self._variables.items():
            assign(variable, new[path])
        return d

    def _initial_leaf(self, path, shape, dtype=None):
        return ops.zeros(shape, dtype) + self._flat_rule.initial_leaves()[path]

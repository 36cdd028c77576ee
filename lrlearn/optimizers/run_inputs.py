"""What a user tells an optimizer about the run, in variables."""

import keras
from keras import ops

from lrlearn.optimizers import backends
from lrlearn.rules.run import Run, check_run_input


class RunInput:
    """Class attribute: a field of `Run`, as the optimizer's variables have it."""

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, optimizer, owner=None):
        return self if optimizer is None else optimizer._run_inputs.get(self._name)

    def __set__(self, optimizer, value):
        optimizer._run_inputs.set(self._name, value)


class RunInputs:
    """The values of a rule's `run_inputs`, in variables of its optimizer.

    In variables they can change between two steps of a graph, and are saved.

    Args:
        rule: An `UpdateRule`.
        add_variable: `keras.optimizers.Optimizer.add_variable`.
        values: A dict of all fields of `Run` to numbers, or `None` if not known.

    Raises:
        ValueError: If a value is negative, or the rule is not told it.
    """

    def __init__(self, rule, add_variable, values):
        self._rule = rule
        values = {name: self._check(name, value) for name, value in values.items()}
        self._variables = {
            name: add_variable(
                (),
                initializer=keras.initializers.Constant(values[name]),
                dtype="float32",
                name=name,
            )
            for name in rule.run_inputs
        }

    def get(self, name):
        """Returns the value of a field; `None` if it is not known."""
        if name not in self._variables:
            return None
        with backends.outside_graph():
            if name == "rho":
                run, _ = self.run().resolve(1)
                return float(ops.convert_to_numpy(self._rule.dial(run)))
            return float(self._variables[name].numpy()) or None

    def set(self, name, value):
        """Sets the value of a field; `None` if it is not known."""
        value = self._check(name, value)
        if name in self._variables:
            self._variables[name].assign(value)

    def get_config(self):
        """Returns what was told, a dict; `None` where nothing was."""
        with backends.outside_graph():
            told = {name: float(v.numpy()) for name, v in self._variables.items()}
        unknown = Run._field_defaults
        return {n: None if v == unknown[n] else v for n, v in told.items()}

    def run(self):
        """Returns the `Run`."""
        return Run(**self._variables)

    def _check(self, name, value):
        if value is None:
            return Run._field_defaults[name]
        value = check_run_input(name, value)
        if name not in self._rule.run_inputs:
            told = ", ".join(self._rule.run_inputs) or "none"
            raise ValueError(
                f"`{name}` must be an input of the rule {type(self._rule).__name__}, "
                f"whose inputs are: {told}. Received: {name}={value!r}"
            )
        return value

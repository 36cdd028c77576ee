"""Update rules: pure functions of `(theta, gradient features, state)`."""

from lrlearn.rules.coordinatewise_lstm import CoordinatewiseLSTM
from lrlearn.rules.per_parameter_mlp import PerParameterMLP
from lrlearn.rules.update_rule import UpdateRule

__all__ = ["CoordinatewiseLSTM", "PerParameterMLP", "UpdateRule"]

"""Update rules: pure functions of `(theta, gradient, parameter, state)`."""

from lrlearn.rules.coordinatewise_lstm import CoordinatewiseLSTM
from lrlearn.rules.coordinatewise_rule import CoordinatewiseRule
from lrlearn.rules.per_parameter_mlp import PerParameterMLP
from lrlearn.rules.run import Run
from lrlearn.rules.scheduled_lstm import ScheduledLSTM
from lrlearn.rules.scheduled_mlp import ScheduledMLP
from lrlearn.rules.scheduled_rule import ScheduledRule
from lrlearn.rules.update_rule import UpdateRule

__all__ = [
    "CoordinatewiseLSTM",
    "CoordinatewiseRule",
    "PerParameterMLP",
    "Run",
    "ScheduledLSTM",
    "ScheduledMLP",
    "ScheduledRule",
    "UpdateRule",
]

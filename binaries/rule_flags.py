"""Flags of programs that make an update rule."""

from absl import flags

from binaries import cli
from lrlearn.rules import CoordinatewiseLSTM, PerParameterMLP

# The flags belong to the programs that define them here, and to their --help.
flags.disclaim_key_flags()


def define():
    """Defines --rule, --units, --features and --rule_output, which `get` reads."""
    flags.DEFINE_enum("rule", "lstm", ["lstm", "mlp"], "Kind of update rule.")
    flags.DEFINE_list(
        "units", None, "Sizes of its hidden layers; default: 20,20, or 8 with mlp."
    )
    flags.DEFINE_enum(
        "features",
        None,
        ["log", "normalized"],
        "Inputs of lstm; default: normalized.",
    )
    flags.DEFINE_enum(
        "rule_output",
        None,
        ["scaled", "adam"],
        "Output layer of lstm; default: adam.",
    )


def get(horizon):
    """Returns the update rule of the flags.

    Args:
        horizon: Most steps of an optimizee's run in meta-training.
    """
    values = {name: flags.FLAGS[name].value for name in ("features", "rule_output")}
    units = flags.FLAGS["units"]
    units = cli.numbers(units, int) if units.value is not None else None
    if flags.FLAGS["rule"].value == "lstm":
        return CoordinatewiseLSTM(
            units or (20, 20),
            values["features"] or "normalized",
            values["rule_output"] or "adam",
        )
    for name, value in values.items():
        if value is not None:
            raise ValueError(f"--{name} needs --rule=lstm. Received: --rule=mlp")
    if units is not None and len(units) != 1:
        raise ValueError(f"--units must be one integer for mlp. Received: {units}")
    return PerParameterMLP(*(units or ()), horizon=horizon)

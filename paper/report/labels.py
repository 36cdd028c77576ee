"""What the report calls things, in the order in which it shows them.

Rows of a store keep their own names, the keys of these dicts. A learned optimizer (LO)
is called by its update rule and its teacher: "LSTM-LO + SAM". "MLP" is always the
network.
"""

from paper.grid.optimizers import DIAL

DATASETS = {
    "digits": "Digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}
NETWORKS = {"mlp": "MLP", "mlp_relu": "MLP-ReLU", "cnn": "CNN"}
REGIMES = ("full", "small", "tiny")
BASELINES = {name: name for name in ("SGD-M", "Adam", "RMSprop", "Adam-EMA", "AdamW")}
DECAYED = {
    f"{name} linear": f"{name}, linear decay" for name in ("SGD-M", "Adam", "AdamW")
}
UNTUNED = {"Adam default": "Adam, default rate", "untrained": "untrained MLP-LO"}
EXPLICIT = {
    "SAM": "explicit SAM",
    "GSAM": "explicit GSAM",
    "GAM": "explicit GAM",
    "late SAM": "late explicit SAM",
}
RULES = {"MLP": "MLP-LO", "LSTM": "LSTM-LO"}
FLATNESS_TEACHERS = ("SAM", "GSAM", "GAM")
TEACHERS = ("none", *FLATNESS_TEACHERS, "L2", "held-out")
# Rows of dials that are turned, and of learned optimizers that are tuned.
DIALS = {
    f"MLP {teacher} {rho:g}": f"MLP-LO + {teacher}, dial {rho:g}"
    for teacher in ("SAM", "L2")
    for rho in DIAL
}
TUNED = {
    "MLP none tuned": "MLP-LO, tuned rate",
    "MLP SAM tuned": "MLP-LO + SAM, tuned dial",
}
OPTIMIZERS = {
    **UNTUNED,
    **BASELINES,
    **DECAYED,
    **EXPLICIT,
    **{
        f"{rule} {teacher}": lo if teacher == "none" else f"{lo} + {teacher}"
        for rule, lo in RULES.items()
        for teacher in TEACHERS
    },
    **DIALS,
    **TUNED,
}
TASKS = tuple(f"{dataset}/{network}" for dataset in DATASETS for network in NETWORKS)


def in_order(values, known):
    """Returns the distinct values, those that are known first and in their order.

    Example:
        >>> from paper.report.labels import in_order
        >>> in_order(["x", "b", "a", "b"], ["a", "b", "c"])
        ['a', 'b', 'x']
    """
    found = dict.fromkeys(values)
    return [v for v in known if v in found] + [v for v in found if v not in set(known)]

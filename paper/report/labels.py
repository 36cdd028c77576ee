"""What the report calls things, in the order in which it shows them.

Rows of a store keep their own names, the keys of these dicts. A learned optimizer (LO)
is called by its update rule and its teacher: "LSTM-LO + SAM". "MLP" is always the
network.
"""

DATASETS = {
    "digits": "Digits",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
}
NETWORKS = {"mlp": "MLP", "mlp_relu": "MLP-ReLU", "cnn": "CNN"}
REGIMES = ("full", "small", "tiny")
BASELINES = ("SGD-M", "Adam", "RMSprop", "Adam-EMA", "AdamW")
EXPLICIT = {
    "SAM": "explicit SAM",
    "GSAM": "explicit GSAM",
    "GAM": "explicit GAM",
    "late SAM": "late explicit SAM",
}
RULES = {"LSTM": "LSTM-LO", "MLP": "MLP-LO"}
FLATNESS_TEACHERS = ("SAM", "GSAM", "GAM")
TEACHERS = ("none", *FLATNESS_TEACHERS, "L2", "held-out")
OPTIMIZERS = {
    **{name: name for name in BASELINES},
    **EXPLICIT,
    **{
        f"{rule} {teacher}": lo if teacher == "none" else f"{lo} + {teacher}"
        for rule, lo in RULES.items()
        for teacher in TEACHERS
    },
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

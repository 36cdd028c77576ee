"""Names as the report shows them, and the order in which it does."""

import dataclasses

from paper.grid.optimizers import OPTIMIZERS, TUNED

DATASETS = {
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "cifar10": "CIFAR-10",
    "digits": "Digits",
}
NETWORKS = {"mlp": "MLP", "mlp_relu": "MLP-ReLU", "cnn": "CNN"}
REGIMES = ("full", "small")
REGULARIZED = ("SAM", "GSAM", "GAM")
EXPLICIT = tuple(name for name, tuned in TUNED.items() if tuned.kind == "explicit")


@dataclasses.dataclass(frozen=True)
class Names:
    """Names of data sets and tasks.

    Attributes:
        jpeg_copy: Whether CIFAR-10 is a copy that was compressed as JPEG.
        meta_trained: Set of `(task, regime)` that rules were meta-trained on.
    """

    jpeg_copy: bool = False
    meta_trained: frozenset = frozenset()

    def dataset(self, dataset):
        """Returns the name of a data set."""
        name = DATASETS.get(dataset, dataset)
        return (
            f"{name} (JPEG copy)" if dataset == "cifar10" and self.jpeg_copy else name
        )

    def task(self, task, regime):
        """Returns the name of a task, with a dagger if it was meta-trained on."""
        dataset, network = task.split("/")
        dagger = "†" if (task, regime) in self.meta_trained else ""
        return f"{self.dataset(dataset)} {NETWORKS.get(network, network)}{dagger}"


def in_order(values, known):
    """Returns the distinct values, those that are known first and in their order.

    Example:
        >>> from paper.report.names import in_order
        >>> in_order(["x", "b", "a", "b"], ["a", "b", "c"])
        ['a', 'b', 'x']
    """
    found = dict.fromkeys(values)
    return [v for v in known if v in found] + [v for v in found if v not in set(known)]


def optimizers(values):
    """Returns the distinct names of optimizers in the report's order."""
    return in_order(values, OPTIMIZERS)


def tasks(values):
    """Returns the distinct tasks in the report's order."""
    known = [f"{dataset}/{network}" for dataset in DATASETS for network in NETWORKS]
    return in_order(values, known)

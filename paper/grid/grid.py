"""What a grid consists of: frozen dataclasses, and the grids by name."""

import dataclasses
import fnmatch
import hashlib
import json
from typing import NamedTuple


class TaskName(NamedTuple):
    """Which task: names of its data set, its network and its regime."""

    dataset: str
    network: str
    regime: str

    def __str__(self):
        """Returns what patterns are matched with, such as `"small/mnist/cnn"`."""
        return f"{self.regime}/{self.dataset}/{self.network}"


@dataclasses.dataclass(frozen=True)
class Regime:
    """How much data a task has.

    Attributes:
        train_size: Training examples; `None` for all.
        label_noise: Fraction of wrong training labels.
        batch_size: Batch size.
    """

    train_size: int | None
    label_noise: float
    batch_size: int


@dataclasses.dataclass(frozen=True)
class MetaTraining:
    """What update rules are meta-trained on; `lrlearn.meta.Recipe` says how.

    Attributes:
        collection: Name of the collection of tasks.
        dataset: The data set that has its images.
        tasks: How many of its tasks, the first ones; `None` for all.
        dial: Least and most setting of the dial that teachers have.
        steps: Meta-steps; `None` for those of the `Recipe`.
        settings: Fields of `MetaSettings` that differ from it, a tuple of pairs.
    """

    collection: str = "small_images"
    dataset: str = "mnist"
    tasks: int | None = None
    dial: tuple = (0.01, 0.2)
    steps: int | None = None
    settings: tuple = ()

    def saw(self, task):
        """Returns whether rules saw the images of a `TaskName`."""
        return task.dataset == self.dataset


@dataclasses.dataclass(frozen=True)
class Measures:
    """What is measured along a run.

    Some values depend on the task: tuples of `(pattern, value)`, of which the first
    pattern that matches `regime/dataset/network` counts.

    Attributes:
        records: Records of a run, evenly spaced, the start not counted.
        sharpness_at: Fractions of the run at which sharpness is measured, by pattern.
        examples: Examples of each split for the losses of records, by pattern. At the
            end, losses are measured on all validation and test data, too.
        sharpness_examples: Training examples for sharpness, by pattern.
        ascent_steps: Points of the ascent of each ball, by pattern.
        eigenvalue_examples: Training examples for the Hessian, by pattern.
        eigenvalue_iterations: Most Hessian-vector products.
        eigenvalue_tolerance: Relative error of the top eigenvalue.
        landscape_points: Points along each of the two directions of the loss landscape
            at the end of the first seed's run, by pattern; 0 for none.
    """

    records: int = 20
    sharpness_at: tuple = (("*", (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)),)
    examples: tuple = (("*", 2000),)
    sharpness_examples: tuple = (("*", 1024),)
    ascent_steps: tuple = (("*", 10),)
    eigenvalue_examples: tuple = (("*", 1024),)
    eigenvalue_iterations: int = 100
    eigenvalue_tolerance: float = 1e-2
    landscape_points: tuple = (("*/cnn", 0), ("*", 25))

    def of(self, task):
        """Returns the measures of a `TaskName`, with values in place of patterns."""
        values = {
            field.name: first_match(getattr(self, field.name), task)
            for field in dataclasses.fields(self)
            if isinstance(getattr(self, field.name), tuple)
        }
        return dataclasses.replace(self, **values)


@dataclasses.dataclass(frozen=True)
class Grid:
    """A grid of runs: optimizers x tasks x meta-seeds x seeds x horizons.

    Attributes:
        name: Its name.
        datasets: Data sets.
        networks: Networks.
        regimes: Names of regimes.
        horizons: Steps of the runs, by pattern as in `Measures`: tuples, since a task
            may have several horizons.
        optimizers: Patterns of the optimizers' names.
        only: Optimizers that run on some tasks only: tuples of a pattern of their names
            and one of the tasks'.
        meta_seeds: Number of meta-trainings of each update rule and teacher.
        seeds: Number of runs of each optimizer on each task.
        tuning_seeds: Number of runs of each trial of hyperparameters.
        meta_training: The `MetaTraining`.
        measures: The `Measures`.
    """

    name: str
    datasets: tuple = ("mnist", "fashion_mnist", "cifar10")
    networks: tuple = ("mlp", "mlp_relu", "cnn")
    regimes: tuple = ("small", "full")
    horizons: tuple = (
        ("full/cifar10/*", (2000,)),
        ("full/*", (1000,)),
        ("small/*", (2000,)),
    )
    optimizers: tuple = ("*",)
    only: tuple = ()
    meta_seeds: int = 5
    seeds: int = 5
    tuning_seeds: int = 2
    meta_training: MetaTraining = MetaTraining()
    measures: Measures = Measures()

    def tasks(self):
        """Returns the `TaskName`s in the order in which they are run.

        Cheap ones come first: a run that is cut off leaves whole tasks.
        """
        return [
            TaskName(dataset, network, regime)
            for convolutional in (False, True)
            for dataset in self.datasets
            for network in self.networks
            for regime in self.regimes
            if (network == "cnn") == convolutional
        ]

    def horizons_of(self, task):
        """Returns the numbers of steps of a `TaskName`, a tuple."""
        return first_match(self.horizons, task)

    def includes(self, optimizer):
        """Returns whether an optimizer of this name takes part."""
        return any(fnmatch.fnmatch(optimizer, p) for p in self.optimizers)

    def runs(self, optimizer, task):
        """Returns whether it runs on a `TaskName`, if it takes part."""
        tasks = [t for name, t in self.only if fnmatch.fnmatch(optimizer, name)]
        return not tasks or any(fnmatch.fnmatch(str(task), t) for t in tasks)

    def describe(self):
        """Returns name, digest and fields of the grid, as JSON types."""
        content = json.loads(json.dumps(dataclasses.asdict(self)))
        text = json.dumps(content, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        return {"name": self.name, "digest": digest, **content}


def first_match(patterns, name):
    """Returns the value of the first pattern that matches a name.

    Example:
        >>> first_match((("small/*", 1), ("*", 2)), "full/mnist/mlp")
        2
    """
    for pattern, value in patterns:
        if fnmatch.fnmatch(str(name), pattern):
            return value
    raise ValueError(f"One pattern must match '{name}'. Received: {patterns}")


REGIMES = {
    "full": Regime(None, 0.0, 128),
    "small": Regime(1000, 0.2, 64),
    "tiny": Regime(500, 0.2, 64),
}
_FIRST_MEASURES = Measures(
    records=10,
    sharpness_at=(("*/cnn", (0.2, 0.5, 1.0)), ("*", (0.03, 0.1, 0.3, 1.0))),
    examples=(("*/cnn", 500), ("*", 2000)),
    sharpness_examples=(("*/cnn", 128), ("*", 1024)),
    ascent_steps=(("*/cnn", 5), ("*", 10)),
    eigenvalue_examples=(("*/cnn", 128), ("*", 512)),
    eigenvalue_iterations=15,
    landscape_points=(("small/*/mlp_relu", 15), ("*", 0)),
)
_DIGITS_MEASURES = Measures(
    records=10,
    sharpness_at=(("*", (0.1, 0.3, 1.0)),),
    sharpness_examples=(("*", 128),),
    ascent_steps=(("*", 20),),
    eigenvalue_examples=(("*", 128),),
    eigenvalue_iterations=15,
    landscape_points=(("*", 0),),
)
# Dials are turned, and learned optimizers tuned, where that shows most at least cost.
_ONLY = tuple(
    (name, f"*/{dataset}/mlp*")
    for name in ("MLP * [0-9]*", "MLP * tuned")
    for dataset in ("mnist", "fashion_mnist")
)
GRIDS = {
    # The whole idea on data that ship with scikit-learn, in a few CPU minutes: few data
    # with wrong labels, so that networks generalize worse than they fit.
    "digits": Grid(
        "digits",
        datasets=("digits",),
        regimes=("tiny",),
        horizons=(("*", (500,)),),
        optimizers=(
            *("SGD-M", "Adam", "RMSprop", "Adam linear", "untrained"),
            *("MLP none", "MLP SAM", "MLP GAM"),
        ),
        meta_seeds=1,
        meta_training=MetaTraining(
            "digits",
            "digits",
            tasks=2,
            steps=150,
            settings=(
                ("horizon", (100, 500)),
                ("optimizees_per_task", 8),
                ("validation_every", 150),
                ("validation_steps", 300),
                ("validation_optimizees", 2),
            ),
        ),
        measures=_DIGITS_MEASURES,
    ),
    # The paper's nine tasks in two regimes, as the protocol asks for them.
    "full": Grid("full", only=_ONLY),
    # The same at less cost: shorter runs of CNNs, fewer seeds, one update rule.
    "first_pass": Grid(
        "first_pass",
        horizons=(("*/cnn", (200,)), *Grid.horizons),
        optimizers=("[!L]*",),
        only=_ONLY,
        meta_seeds=5,
        seeds=3,
        tuning_seeds=1,
        measures=_FIRST_MEASURES,
    ),
}

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
class MetaRecipe:
    """How update rules are meta-trained.

    Attributes:
        dataset: Data set.
        networks: Networks.
        regime: Name of the regime.
        steps: Meta-steps.
        horizon: Least and most steps of an optimizee.
        validation_steps: Steps of an optimizee in meta-validation.
        coordinates: Coordinates of an optimizee that are replayed.
        lstm_units: Units of the LSTM's layers.
        lstm_rate: Meta-learning rate of the LSTM rule.
        mlp_rate: Meta-learning rate of the MLP rule.
        final_rate: Last meta-learning rate, as a fraction of the first.
        lstm_validations: Number of meta-validations of an LSTM rule.
        mlp_validations: Number of meta-validations of an MLP rule.
        unroll: Steps of an optimizee between two meta-updates.
        initializations: Optimizees of each network in a meta-step.
        initial_scale: Least and largest factor of their initial weights.
        clipnorm: Largest norm of a meta-gradient.
    """

    dataset: str = "mnist"
    networks: tuple = ("mlp", "mlp_relu", "mlp_tanh")
    regime: str = "small"
    steps: int = 200
    horizon: tuple = (100, 1000)
    validation_steps: int = 1000
    coordinates: int = 2000
    lstm_units: tuple = (10, 10)
    lstm_rate: float = 5e-3
    mlp_rate: float = 2e-3
    final_rate: float = 0.02
    lstm_validations: int = 4
    mlp_validations: int = 8
    unroll: int = 20
    initializations: int = 2
    initial_scale: tuple = (0.5, 2.0)
    clipnorm: float = 1.0

    def tasks(self):
        """Returns the `TaskName`s that rules are meta-trained on."""
        return [TaskName(self.dataset, n, self.regime) for n in self.networks]


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
        meta_seeds: Number of meta-trainings of each update rule and teacher.
        seeds: Number of runs of each optimizer on each task.
        tuning_seeds: Number of runs of each trial of hyperparameters.
        recipe: The `MetaRecipe`.
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
    meta_seeds: int = 5
    seeds: int = 5
    tuning_seeds: int = 2
    recipe: MetaRecipe = MetaRecipe()
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
GRIDS = {
    # The whole idea on data that ship with scikit-learn, in four CPU minutes: few data
    # with wrong labels, so that networks generalize worse than they fit.
    "digits": Grid(
        "digits",
        datasets=("digits",),
        regimes=("tiny",),
        horizons=(("*", (500,)),),
        optimizers=(
            *("SGD-M", "RMSprop", "Adam"),
            *("LSTM none", "LSTM SAM", "LSTM GSAM", "LSTM GAM"),
        ),
        meta_seeds=1,
        recipe=MetaRecipe(
            dataset="digits",
            networks=("mlp", "mlp_relu"),
            regime="tiny",
            horizon=(100, 500),
            validation_steps=224,
            coordinates=500,
        ),
        measures=_DIGITS_MEASURES,
    ),
    # The paper's nine tasks in two regimes, as the protocol asks for them.
    "full": Grid("full"),
    # The same at a cost of three core-hours: shorter runs, fewer seeds.
    "first_pass": Grid(
        "first_pass",
        horizons=(("*/cnn", (60,)), ("*/cifar10/*", (500,)), ("*", (1000,))),
        meta_seeds=2,
        seeds=3,
        tuning_seeds=1,
        measures=_FIRST_MEASURES,
    ),
}

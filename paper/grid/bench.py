"""One task, with everything that is compiled for it."""

import tensorflow as tf

import lrlearn
from lrlearn.evaluation import Training
from paper.grid.measurement import Measurement
from paper.grid.meta_training import load_task, make_rule
from paper.grid.optimizers import TUNED, set_radius


class Bench:
    """A task whose runs share compiled graphs.

    Args:
        place: Tuple `(dataset, network, regime)`.
        grid: A `Grid`.
    """

    def __init__(self, place, grid):
        dataset, network, regime = place
        self._grid = grid
        self._task = load_task(dataset, network, regime)
        self.measures = grid.measures.of(f"{regime}/{dataset}/{network}")
        self.measurement = Measurement(self._task, self.measures)
        self._trainings = {}

    def hand_designed(self, name, hyperparameters, seeds):
        """Returns a `Training` of all seeds, started.

        Args:
            name: Name in `TUNED`.
            hyperparameters: Dict of `learning_rate` and whatever else was tuned.
            seeds: Seeds of the runs.
        """
        tuned, base = TUNED[name], hyperparameters.get("base", name)
        decay = hyperparameters.get("weight_decay")
        key = (base, tuned.regularizer, decay, len(seeds))
        if key not in self._trainings:
            # Radii in a variable: one graph serves all.
            rho, regularizer = tf.Variable(0.0), tuned.regularizer
            if regularizer is not None:
                regularizer = regularizer()
                set_radius(regularizer, rho)
            optimizer = TUNED[base].make(hyperparameters)
            training = Training(self._task, optimizer, regularizer, len(seeds))
            self._trainings[key] = training, rho
        training, rho = self._trainings[key]
        training.start(seeds)
        training.optimizer.learning_rate = hyperparameters["learning_rate"]
        rho.assign(hyperparameters.get("rho", 0.0))
        return training

    def learned(self, rule, theta, seeds):
        """Returns a `Training` of all seeds, started.

        Args:
            rule: Name of the update rule.
            theta: Its weights.
            seeds: Seeds of the runs.
        """
        key = (rule, len(seeds))
        if key not in self._trainings:
            optimizer = lrlearn.LearnedOptimizer(
                make_rule(rule, self._grid.recipe), theta
            )
            self._trainings[key] = Training(self._task, optimizer, count=len(seeds))
        training = self._trainings[key]
        training.start(seeds)
        training.optimizer.theta = theta
        return training

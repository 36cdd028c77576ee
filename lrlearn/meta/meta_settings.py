"""The numbers and choices of a meta-training run."""

import dataclasses
import math

META_LOSSES = ("log", "loss")
META_SPLITS = ("train", "validation")


@dataclasses.dataclass(frozen=True)
class MetaSettings:
    """How a `MetaTrainer` trains.

    Attributes:
        unroll: Optimizee steps in a meta-step. Defaults to `20`.
        horizon: Smallest and largest number of steps of an optimizee's run, drawn
            log-uniformly; or one number. Defaults to `(100, 1000)`.
        optimizees_per_task: Optimizees of each task that run side by side. Defaults to
            `1`.
        tasks_per_step: Tasks of a meta-step, which take turns, or `None` for all.
            Defaults to `None`.
        initial_scale: Smallest and largest factor of the initial weights, drawn
            log-uniformly. Defaults to `(1.0, 1.0)`.
        reparameterization: Largest factor of all weights together, and of each tensor,
            at least 1, drawn log-uniformly: the rule sees rescaled weights of the same
            function. Defaults to `(1.0, 1.0)`.
        dial: Smallest and largest setting of the dial of a rule that has one, drawn
            log-uniformly (and once in four times 0), by which the teacher's strength is
            multiplied; or `None` for 0. Defaults to `None`.
        meta_loss: `"log"` or `"loss"`. Defaults to `"log"`.
        loss_offset: Added to a loss before its logarithm is taken. Defaults to `1e-8`.
        late_weight: Share of the meta-loss that is of the last fifth of a run alone.
            Defaults to `0.0`.
        meta_split: Split on whose batches the meta-loss is taken, `"train"` or
            `"validation"`. Defaults to `"train"`.
        ema_decay: Decay of the moving average of `theta`. Defaults to `0.98`.
        validation_every: Meta-steps between meta-validations, or `None` for none.
            Defaults to `100`.
        validation_optimizees: Optimizees of a meta-validation, over all tasks, at least
            one each. Defaults to `8`.
        validation_steps: Their number of steps. Defaults to the geometric mean of
            `horizon`.
        score_split: Split whose loss they are scored by: `"validation"`, or `"train"`
            for what a rule without a teacher is asked for. Defaults to `"validation"`.
        loss_limit: Loss above which an optimizee has diverged; in meta-validation it
            counts as no more. Defaults to `100.0`.
        seed: Integer seed of everything random. Defaults to `0`.

    Raises:
        ValueError: If a value is out of its range.

    Example:
        >>> from lrlearn.meta import MetaSettings
        >>> MetaSettings(horizon=(100, 1000)).validation_steps
        316
    """

    unroll: int = 20
    horizon: tuple[int, int] | int = (100, 1000)
    optimizees_per_task: int = 1
    tasks_per_step: int | None = None
    initial_scale: tuple[float, float] = (1.0, 1.0)
    reparameterization: tuple[float, float] = (1.0, 1.0)
    dial: tuple[float, float] | None = None
    meta_loss: str = "log"
    loss_offset: float = 1e-8
    late_weight: float = 0.0
    meta_split: str = "train"
    ema_decay: float = 0.98
    validation_every: int | None = 100
    validation_optimizees: int = 8
    validation_steps: int | None = None
    score_split: str = "validation"
    loss_limit: float = 100.0
    seed: int = 0

    def __post_init__(self):
        """Fills in what follows from other values, and checks all."""
        single = not isinstance(self.horizon, tuple | list)
        horizon = (self.horizon, self.horizon) if single else tuple(self.horizon)
        object.__setattr__(self, "horizon", horizon)
        intervals = ["horizon", "initial_scale"] + ["dial"] * (self.dial is not None)
        for name in intervals:
            bounds = _pair(getattr(self, name))
            valid = bounds is not None and 0 < bounds[0] <= bounds[1] < math.inf
            self._require(name, valid, "two positive numbers, the smaller first")
        if self.validation_steps is None:
            steps = round(math.sqrt(horizon[0] * horizon[1]))
            object.__setattr__(self, "validation_steps", steps)
        for name in (
            "unroll",
            "optimizees_per_task",
            "validation_optimizees",
            "validation_steps",
        ):
            self._require(name, getattr(self, name) >= 1, "at least 1")
        factors = _pair(self.reparameterization)
        valid = factors is not None and 1 <= min(factors) <= max(factors) < math.inf
        self._require("reparameterization", valid, "two numbers, at least 1")
        at_once, every = self.tasks_per_step, self.validation_every
        self._require("tasks_per_step", at_once is None or at_once >= 1, "None or >= 1")
        self._require("loss_offset", self.loss_offset > 0, "positive")
        self._require("late_weight", 0 <= self.late_weight <= 1, "in [0, 1]")
        self._require("validation_every", every is None or every >= 1, "None or >= 1")
        self._require("unroll", self.unroll <= horizon[0], "at most `horizon`")
        self._require("ema_decay", 0 <= self.ema_decay < 1, "in [0, 1)")
        self._require("loss_limit", self.loss_limit > 0, "positive")
        self._require("seed", 0 <= self.seed < 2**31, "in [0, 2**31)")
        splits = dict.fromkeys(("meta_split", "score_split"), META_SPLITS)
        for name, valid in {"meta_loss": META_LOSSES, **splits}.items():
            self._require(name, getattr(self, name) in valid, f"one of {valid}")

    def _require(self, name, holds, rule):
        if not holds:
            raise ValueError(
                f"`{name}` must be {rule}. Received: {name}={getattr(self, name)!r}"
            )


def _pair(value):
    """Returns a tuple of two numbers, `None` if the value is no such pair."""
    pair = tuple(value) if isinstance(value, tuple | list) else ()
    return pair if len(pair) == 2 else None

"""The numbers and choices of a meta-training run."""

import dataclasses
import functools
import math
import numbers

from lrlearn.checks import check_count, check_non_negative, check_positive

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
        score_split: Split whose loss they are scored by: `"validation"`, or `"train"`,
            which scores a rule by how well it trains. Defaults to `"validation"`.
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
        self._set("horizon", (self.horizon, self.horizon) if single else self.horizon)
        for name in ("horizon", "initial_scale", "dial"):
            self._check_interval(name)
        self._check_factors()
        if self.validation_steps is None:
            steps = math.sqrt(self.horizon[0] * self.horizon[1])
            self._set("validation_steps", round(steps))
        self._check_counts()
        self._require("unroll", self.unroll <= self.horizon[0], "at most `horizon`")
        self._check_numbers()
        splits = dict.fromkeys(("meta_split", "score_split"), META_SPLITS)
        for name, valid in {"meta_loss": META_LOSSES, **splits}.items():
            self._require(name, getattr(self, name) in valid, f"one of {valid}")

    def _check_interval(self, name):
        pair = getattr(self, name)
        if name == "dial" and pair is None:
            return
        valid = _are_two_numbers(pair) and 0 < pair[0] <= pair[1] < math.inf
        self._require(name, valid, "two positive numbers, the smaller first")
        plain = functools.partial(check_count, name) if name == "horizon" else float
        self._set(name, tuple(map(plain, pair)))

    def _check_factors(self):
        pair = self.reparameterization
        valid = _are_two_numbers(pair) and 1 <= min(pair) <= max(pair) < math.inf
        self._require("reparameterization", valid, "two numbers, at least 1")
        self._set("reparameterization", tuple(map(float, pair)))

    def _check_counts(self):
        for name in (
            "unroll",
            "optimizees_per_task",
            "validation_optimizees",
            "validation_steps",
        ):
            self._set(name, check_count(name, getattr(self, name)))
        for name in ("tasks_per_step", "validation_every"):
            if getattr(self, name) is not None:
                self._set(name, check_count(name, getattr(self, name)))
        self._set("seed", check_count("seed", self.seed, minimum=0))
        self._require("seed", self.seed < 2**31, "less than 2**31")

    def _check_numbers(self):
        for name in ("loss_offset", "loss_limit"):
            self._set(name, check_positive(name, getattr(self, name)))
        for name in ("late_weight", "ema_decay"):
            self._set(name, check_non_negative(name, getattr(self, name)))
        self._require("late_weight", self.late_weight <= 1, "in [0, 1]")
        self._require("ema_decay", self.ema_decay < 1, "in [0, 1)")

    def _set(self, name, value):
        object.__setattr__(self, name, value)  # the way of frozen dataclasses

    def _require(self, name, holds, rule):
        if not holds:
            raise ValueError(
                f"`{name}` must be {rule}. Received: {name}={getattr(self, name)!r}"
            )


def _are_two_numbers(value):
    """Returns whether a value is a tuple or list of two real numbers."""
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(each, numbers.Real) for each in value)
    )

"""The cases of the benchmarks."""

import dataclasses
import functools

from benchmarks import subjects

GROUPS = ("meta_step", "training_step", "scaling")


@dataclasses.dataclass(frozen=True)
class Case:
    """Something to measure, in a process of its own.

    Attributes:
        group: Name of the module in `benchmarks.groups` that measures it.
        name: Its name within the group.
        arguments: Arguments of that module's `measure`, a dict of JSON types.
        baseline: Name of the case of the group that its time is compared with, or
            `None` if `measure` gives the ratio or there is none.
    """

    group: str
    name: str
    arguments: dict
    baseline: str | None = None


def select(groups=GROUPS, only="", optimizers=None):
    """Returns the cases of some groups.

    Args:
        groups: Names among `GROUPS`. Defaults to all.
        only: Substring that `<group>/<name>` must contain. Defaults to none.
        optimizers: Optimizers of training steps. Defaults to all.

    Raises:
        ValueError: If there is no such group, or no such case.
    """
    if unknown := sorted(set(groups) - set(GROUPS)):
        raise ValueError(f"Groups must be among {GROUPS}. Received: {unknown}")
    tables = {
        "meta_step": _meta_step,
        "training_step": functools.partial(_training_step, optimizers),
        "scaling": _scaling,
    }
    cases = [case for group in GROUPS if group in groups for case in tables[group]()]
    cases = [case for case in cases if only in f"{case.group}/{case.name}"]
    if not cases:
        raise ValueError(f"No case has {only!r} in its name, in the groups {groups}.")
    return cases


def yardsticks():
    """Returns the case that measures how fast the machine is at the moment."""
    return Case("yardsticks", "yardsticks", {})


def _meta_step():
    """The estimator x rule table, and one-factor variations around its first case."""
    estimators = {
        "replay": {"estimator": "replay"},
        "replay 10 %": {"estimator": "replay", "coordinates": 1591},
        **{name: {"estimator": name} for name in subjects.estimators()},
    }
    variations = {
        f"{estimator}, {rule}": {**arguments, "rule": rule}
        for rule in subjects.rules()
        for estimator, arguments in estimators.items()
        # A replay goes coordinate by coordinate, and scheduled rules see whole tensors.
        if not (estimator.startswith("replay") and rule.startswith("scheduled"))
    }
    base = next(iter(variations))
    variations |= {
        f"{base}, {variation}": {**variations[base], **arguments}
        for variation, arguments in {
            "jit_compile": {"jit_compile": True},
            "sam": {"regularizer": "sam"},
            "gsam": {"regularizer": "gsam"},
            "gam": {"regularizer": "gam"},
            "unroll 100": {"unroll": 100},
            "unroll 200": {"unroll": 200},
            "optimizees_per_task 2": {"optimizees_per_task": 2},
            "optimizees_per_task 8": {"optimizees_per_task": 8},
        }.items()
    }
    return [
        Case("meta_step", name, arguments, base)
        for name, arguments in variations.items()
    ]


def _training_step(optimizers):
    """All optimizers on each network; few steps if a step takes long."""
    networks = [
        ("mlp_20", 200, False),
        ("mlp_20", 200, True),
        ("mlp_128_128", 100, False),
        ("mlp_128_128", 100, True),
        ("cnn", 20, False),
        ("resnet_20", 3, False),
    ]
    return [
        Case(
            "training_step",
            network + (", jit_compile" if jit_compile else ""),
            {
                **{"network": network, "steps": steps, "jit_compile": jit_compile},
                **({"optimizers": optimizers} if optimizers else {}),
            },
        )
        for network, steps, jit_compile in networks
    ]


def _scaling():
    """Each optimizer's step alone, about a million parameter updates a repeat."""
    largest = {"adam": 10**7, "lstm_2x10": 10**6, "per_parameter_mlp": 10**7}
    return [
        Case(
            "scaling",
            f"{optimizer}, {n:.0e}",
            {"optimizer": optimizer, "num_params": n, "steps": max(1, 10**6 // n)},
            f"adam, {n:.0e}",
        )
        for n in (10**4, 10**5, 10**6, 10**7)
        for optimizer in largest
        if n <= largest[optimizer]
    ]

"""The cases of the benchmarks."""

import dataclasses

from benchmarks import backends, subjects

GROUPS = ("meta_step", "training_step", "scaling", "memory")
# Steps in a round, and those with `quick`: few if a step takes long.
_NETWORKS = {
    "mlp_20": (200, 60),
    "mlp_128_128": (100, 10),
    "mlp_512_512": (20, 2),
    "cnn": (20, 2),
    "frozen": (20, 2),
    "resnet_20": (3, 1),
}
_COMPILED = ("mlp_20", "mlp_128_128")
# GSAM and GAM cost what SAM does, once and twice; no preset has these two rules.
_LEFT_OUT_OF_QUICK = ("sgd", "gsam", "gam", "lstm_2x10", "per_parameter_mlp")
# There an optimizer's own work is small, and each model takes long to compile.
_LEFT_OUT_OF_QUICK_RESNET = ("lion", "muon", "sam+lion", "sam+muon")
# The most parameters that each is measured on.
_SCALED = {
    "adam": 10**7,
    "lion": 10**7,
    "per_parameter_mlp": 10**7,
    "scheduled_mlp": 10**7,
    "scheduled_lstm_10": 10**6,
    "lstm_2x10": 10**6,
}
# The same for their memory.
_MEMORY = {
    "adam": 10**8,
    "scheduled_mlp": 10**8,
    "scheduled_lstm_10": 10**7,
    "lstm_2x20": 10**7,
}


@dataclasses.dataclass(frozen=True)
class Case:
    """Something to measure, in a process of its own.

    Attributes:
        group: Name of the module in `benchmarks.groups` that measures it.
        name: Its name within the group.
        arguments: Arguments of that module's `measure`, a dict of JSON types.
        baseline: Name of the case of the group that its time is compared with, or
            `None` if `measure` gives the ratio or there is none.
        backend: Keras's backend. Defaults to `"tensorflow"`.
    """

    group: str
    name: str
    arguments: dict
    baseline: str | None = None
    backend: str = "tensorflow"


def select(groups=GROUPS, only="", optimizers=None, on=backends.NAMES, quick=False):
    """Returns the cases of some groups.

    Args:
        groups: Names among `GROUPS`. Defaults to all.
        only: Substring that `<group>/<name>` must contain. Defaults to none.
        optimizers: Those that are compared. Defaults to all.
        on: Keras's backends, of which `meta_step` takes TensorFlow alone. Defaults to
            all.
        quick: Whether to leave out what takes long: `meta_step`, `memory`, XLA on
            TensorFlow, some optimizers and sizes, and most steps. Defaults to `False`.

    Raises:
        ValueError: If there is no such group, optimizer or backend, or no such case.
    """
    _check("Groups", groups, GROUPS)
    _check("Backends", on, backends.NAMES)
    _check("Optimizers", optimizers or [], subjects.trained_with())
    cases = [
        case
        for case in (_with_only(optimizers, case) for case in _all(on, quick))
        if case.group in groups
        and only in f"{case.group}/{case.name}"
        and case.arguments.get("optimizers") != []
    ]
    if not cases:
        raise ValueError(
            f"A case must have these properties. Received: {groups=}, {only=}, "
            f"{optimizers=}, {on=}, {quick=}"
        )
    return cases


def yardsticks():
    """Returns the case that measures how fast the machine is at the moment."""
    return Case("yardsticks", "yardsticks", {})


def _all(on, quick):
    if "tensorflow" in on and not quick:
        yield from _meta_step()
    for table in (_training_step, _scaling, *([] if quick else [_memory])):
        for backend in on:
            yield from table(backend, quick)


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


def _training_step(backend, quick):
    """Everything that a model is trained with, on each network."""
    variants = [(network, False) for network in _NETWORKS]
    if backend == "tensorflow" and not quick:
        variants += [(network, True) for network in _COMPILED]
    for network, jit_compile in variants:
        also = _LEFT_OUT_OF_QUICK_RESNET if network == "resnet_20" else ()
        arguments = {
            "network": network,
            "steps": _NETWORKS[network][quick],
            "jit_compile": jit_compile,
            "optimizers": _optimizers(subjects.trained_with(), quick, also),
        }
        name = network + (", jit_compile" if jit_compile else "")
        yield Case("training_step", name, arguments, backend=backend)


def _scaling(backend, quick):
    """Optimizers alone, a million parameter updates a round or more."""
    for n in (10**4, 10**6) if quick else (10**4, 10**5, 10**6, 10**7):
        names = [name for name, most in _SCALED.items() if n <= most]
        arguments = {
            "num_params": n,
            "steps": max(3, 10**6 // n),
            "optimizers": _optimizers(names, quick),
        }
        yield Case("scaling", f"{n:.0e}", arguments, backend=backend)


def _memory(backend, _):
    """The memory of each optimizer alone, in a process each."""
    for n in (10**7, 10**8):
        for name in [name for name, most in _MEMORY.items() if n <= most]:
            arguments = {"num_params": n, "optimizers": [name]}
            yield Case("memory", f"{n:.0e}, {name}", arguments, backend=backend)


def _optimizers(names, quick, also=()):
    """Returns the names that are measured; `also` are more that quick leaves out."""
    left_out = (*_LEFT_OUT_OF_QUICK, *also) if quick else ()
    return [name for name in names if name not in left_out]


def _with_only(optimizers, case):
    """Returns the case with those of its optimizers that are among some, if given."""
    if optimizers is None or "optimizers" not in case.arguments:
        return case
    kept = [name for name in case.arguments["optimizers"] if name in optimizers]
    return dataclasses.replace(case, arguments={**case.arguments, "optimizers": kept})


def _check(what, names, known):
    if unknown := sorted(set(names) - set(known)):
        raise ValueError(f"{what} must be among {tuple(known)}. Received: {unknown}")

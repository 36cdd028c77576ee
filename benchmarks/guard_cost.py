r"""CPU time of `fit` with a preset's guard, as a multiple of that without.

    python -m benchmarks.guard_cost

Prints the median ratio over rounds, in each of which both train the same MLP.
"""

import statistics

from absl import flags

from benchmarks import backends, machine, networks, timing
from binaries import cli

_ROUNDS = flags.DEFINE_integer("rounds", 9, "Rounds.", lower_bound=1)
_CORE = flags.DEFINE_integer("core", 0, "Core to run on.", lower_bound=0)

_STEPS = {"mlp_20": 200, "mlp_128_128": 100, "mlp_512_512": 20}
_BATCH = 128


def main():
    """Prints a line for each network."""
    machine.pin(_CORE.value)
    backends.use_one_thread()
    for name, steps in _STEPS.items():
        fits = {guard: _fit(name, steps, guard) for guard in (False, True)}
        rounds = [
            {guard: timing.seconds(fit) for guard, fit in fits.items()}
            for _ in range(_ROUNDS.value)
        ]
        ratio = statistics.median(times[True] / times[False] for times in rounds)
        print(f"{name}: {ratio:.2f}")


def _fit(name, steps, guard):
    """Returns a function that trains a network for some steps, compiled already."""
    import lrlearn

    model = networks.build(name)
    optimizer = lrlearn.LearnedOptimizer.from_preset("lo_sam", guard=guard)
    model.compile(optimizer, networks.loss(), jit_compile=backends.jit_compile())
    x, y = networks.images(model.input_shape[1:], steps * _BATCH)

    def fit():
        model.fit(x, y, batch_size=_BATCH, shuffle=False, verbose=0)

    fit()
    return fit


if __name__ == "__main__":
    cli.run(main)

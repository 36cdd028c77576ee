"""Waits for what JAX computes in the background; for `test_benchmarks`."""

import types

import jax

from benchmarks import backends


@jax.jit
def slow(x):
    """Takes a tenth of a second or more."""
    return jax.lax.fori_loop(0, 20, lambda _, x: x @ x, x)


class Model:
    """Its variables get their values when they are asked for, as in `fit`."""

    def jax_state_sync(self):
        """Starts the computation."""
        self.variables = [types.SimpleNamespace(value=slow(jax.numpy.eye(700)))]


if __name__ == "__main__":
    jax.block_until_ready(slow(jax.numpy.eye(700)))  # compiles
    assert not slow(jax.numpy.eye(700)).is_ready()
    model = Model()
    backends.finish(model)
    assert model.variables[0].value.is_ready()
    print("done")

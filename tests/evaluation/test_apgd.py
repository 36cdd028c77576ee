"""`method="apgd"` is Auto-PGD as its authors define it."""

import numpy as np
import pytest
import tensorflow as tf

from lrlearn.evaluation import PGA, SharpnessEvaluator, pga
from tests.evaluation import quadratics
from tests.evaluation.test_pga import quadratic, waves

RHO, ALPHA = 0.75, 0.75


def unit(v):
    return v / np.linalg.norm(v)


def auto_pgd(value, gradient, start, radius, steps):
    """Croce and Hein (2020), algorithm 1; returns the best value, and the halvings."""

    def project(e):
        return e * radius / max(np.linalg.norm(e), radius)

    p, ends = [0, 0.22], [0]
    while p[-1] <= 1:
        ends.append(int(np.ceil(np.round(p[-1] * steps, 9))))
        p.append(p[-1] + max(p[-1] - p[-2] - 0.03, 0.06))
    x, previous, eta, halvings = start, start, 2 * radius, 0
    values, best = [value(x)], x
    last = eta, values[0]
    for k in range(1, steps + 1):
        alpha = 1 if k == 1 else ALPHA
        z = project(x + eta * unit(gradient(x)))
        new = project(x + alpha * (z - x) + (1 - alpha) * (x - previous))
        x, previous = new, x
        values.append(value(x))
        best = x if values[-1] > value(best) else best
        if k in ends[1:]:
            begin = max(end for end in ends if end < k)
            rises = sum(np.diff(values[begin : k + 1]) > 0)
            stuck = last == (eta, max(values))
            last = eta, max(values)
            if rises < RHO * (k - begin) or stuck:
                eta, x, halvings = eta / 2, best, halvings + 1
                values[k] = max(values)
    return max(values), halvings


def random_start(n, radius, seed):
    v = tf.random.stateless_normal([n], [seed, 0], dtype=tf.float64).numpy()
    return radius * unit(v)


@pytest.mark.parametrize("steps", [1, 2, 7, 20, 50])
def test_takes_the_steps_of_the_algorithm(steps):
    """On rugged functions, so that step sizes are halved."""
    search, halvings = PGA(waves, steps=steps, method="apgd"), 0
    for seed in range(4):
        rng = np.random.default_rng(seed)
        a, b, c = rng.normal(size=[9, 6]), rng.uniform(0, 6, 9), rng.normal(size=9)
        worst = search([np.zeros(6)], 2.0, a, b, c, seed=seed)
        expected, count = auto_pgd(
            lambda e, a=a, b=b, c=c: c @ np.sin(a @ e + b),
            lambda e, a=a, b=b, c=c: a.T @ (c * np.cos(a @ e + b)),
            random_start(6, 2.0, seed),
            2.0,
            steps,
        )
        at_centre = c @ np.sin(b)
        assert float(worst.value) == pytest.approx(max(expected, at_centre), rel=1e-6)
        halvings += count
    assert halvings > 0 or steps < 3


@pytest.mark.parametrize("objective", ["loss", "gradient_norm"])
def test_finds_the_maximum_of_a_quadratic(objective):
    """That of the secular equation, with a hundred steps."""
    search = PGA(quadratic, objective, steps=100, method="apgd")
    for spectrum in ("uniform", "outlier", "wishart"):
        a = quadratics.spectra(20)[spectrum]
        g = quadratics.gradients(20)["random"]
        worst = search([np.zeros(20)], 0.5, a, g)
        maximum = quadratics.maximum(a, g, 0.5)
        if objective == "gradient_norm":
            square = g @ g + 2 * quadratics.maximum(a**2, a * g, 0.5)
            assert float(worst.value) == pytest.approx(np.sqrt(square), rel=5e-3)
        else:
            assert float(worst.increase) == pytest.approx(maximum, rel=5e-3)


def test_sharpness_takes_the_method():
    """Its increase is that of the same search."""

    def loss_fn(params):
        return tf.reduce_sum(tf.sin(4 * params[0]))

    evaluator = SharpnessEvaluator(loss_fn, steps=5, method="apgd")
    (row,) = evaluator([np.zeros(9)], radii=[2.0], seed=3).itertuples()
    worst = pga(loss_fn, [np.zeros(9)], 2.0, steps=5, seed=3, method="apgd")
    assert row.increase == pytest.approx(float(worst.increase), rel=1e-6)

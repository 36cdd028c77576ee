import itertools

import numpy as np
import pytest
import tensorflow as tf

import lrlearn
from lrlearn.evaluation import PGA, pga
from lrlearn.evaluation.flat import increase
from tests.evaluation import quadratics


def quadratic(params, eigenvalues, gradient):
    (w,) = params
    return tf.tensordot(gradient, w, 1) + tf.tensordot(eigenvalues * w, w, 1) / 2


def waves(params, frequencies, phases, heights):
    return tf.tensordot(
        heights, tf.sin(tf.linalg.matvec(frequencies, params[0]) + phases), 1
    )


SEARCHES = {
    objective: PGA(quadratic, objective) for objective in ("loss", "gradient_norm")
}
KINDS = list(itertools.product(quadratics.spectra(2), quadratics.gradients(2)))
CASES = [
    *((20, *kind, "float32") for kind in KINDS),
    *((300, *kind, "float32") for kind in KINDS[::3]),
    *((2, *kind, "float64") for kind in KINDS[::4]),
]


@pytest.mark.parametrize(("n", "spectrum", "gradient", "dtype"), CASES)
def test_loss_rises_to_within_one_percent_of_the_maximum(n, spectrum, gradient, dtype):
    """That of the secular equation, for many spectra and slopes."""
    a = quadratics.spectra(n)[spectrum].astype(dtype)
    g = quadratics.gradients(n)[gradient].astype(dtype)
    for radius in (1e-3, 0.5, 4.0, 100.0):
        worst = SEARCHES["loss"]([np.zeros(n, dtype)], radius, a, g)
        maximum = quadratics.maximum(a, g, radius)
        assert 0.99 <= worst.increase / maximum <= 1 + 1e-4
        assert np.linalg.norm(worst.perturbation[0]) <= radius * (1 + 1e-5)


@pytest.mark.parametrize(("spectrum", "gradient"), KINDS)
def test_gradient_norm_rises_to_within_one_percent_of_the_maximum(spectrum, gradient):
    """On a quadratic its square is a quadratic too."""
    a = quadratics.spectra(20)[spectrum].astype("float32")
    g = quadratics.gradients(20)[gradient].astype("float32")
    for radius in (1e-3, 3.0):
        worst = SEARCHES["gradient_norm"]([np.zeros(20, "float32")], radius, a, g)
        # |g + He|^2/2 = |g|^2/2 + (Hg)'e + e'H^2 e/2
        a64, g64 = a.astype(float), g.astype(float)
        rise = quadratics.maximum(a64**2, a64 * g64, radius)
        assert worst.value == worst.gradient_norm
        assert 0.99 <= worst.value / np.sqrt(g64 @ g64 + 2 * rise) <= 1 + 1e-4


@pytest.mark.parametrize("objective", ["loss", "gradient_norm"])
@pytest.mark.parametrize("n", [2, 10, 40])
def test_is_not_below_a_random_search_where_not_convex(n, objective):
    """200 random points of the sphere find nothing higher."""
    search = PGA(waves, objective)
    for seed in range(8):
        rng = np.random.default_rng(seed)
        function = [
            rng.standard_normal((20, n)) * (1 + 2 * (seed % 2)) / np.sqrt(n),
            rng.uniform(0, 2 * np.pi, 20),
            rng.standard_normal(20),
        ]
        a, b, c = function
        directions = rng.standard_normal((200, n))
        w = directions / np.linalg.norm(directions, axis=1, keepdims=True)
        if objective == "loss":
            values = np.sin(w @ a.T + b) @ c
        else:
            values = np.linalg.norm((np.cos(w @ a.T + b) * c) @ a, axis=1)
        worst = search([np.zeros(n)], 1.0, *function, seed=seed)
        assert worst.value >= values.max() - 1e-9 * abs(values.max())


def test_is_not_below_the_perturbation_of_sam():
    """Even where the curvature along it is negative."""
    for seed in range(5):
        g = np.random.default_rng(seed).standard_normal(50).astype("float32")
        a = np.full(50, -3.0, "float32")
        worst = SEARCHES["loss"]([np.zeros(50, "float32")], 0.1, a, g)
        at_sam = 0.1 * np.linalg.norm(g) - 3.0 * 0.1**2 / 2
        assert worst.increase >= at_sam * (1 - 1e-5)


def test_finds_a_maximum_inside_the_ball():
    """It does not have to lie on the sphere."""
    worst = pga(lambda w: -tf.reduce_sum((w[0] - 0.3) ** 2), [np.zeros(4)], 2.0)
    np.testing.assert_allclose(worst.perturbation[0], 0.3, atol=0.01)


def test_leaves_a_saddle_point_of_the_sphere():
    """Where the gradient has no part in the top eigenvector."""
    # The gradient's direction stays where it is under projected gradient steps.
    a, g = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    worst = SEARCHES["loss"]([np.zeros(2)], 5.0, a, g)
    # mu = 1: e = (1, sqrt(24)), 1 + 12
    assert float(worst.increase) == pytest.approx(13.0, rel=1e-3)


@pytest.mark.parametrize("objective", ["loss", "gradient_norm"])
@pytest.mark.parametrize(
    ("loss_fn", "radius"),
    [
        (lambda w: tf.reduce_sum(w[0] ** 2), 0.0),
        (lambda w: 0.0 * tf.reduce_sum(w[0]), 1.0),
        (lambda w: tf.reduce_sum(w[0]), 1.0),
        (lambda w: 1e-30 * tf.reduce_sum(w[0] ** 2), 1e-3),
        (lambda w: tf.constant(3.0), 1.0),
    ],
    ids=["no radius", "constant", "linear", "tiny", "unconnected"],
)
def test_is_finite(loss_fn, radius, objective):
    """Zero radii, slopes and curvatures give numbers within the ball."""
    worst = pga(loss_fn, [tf.zeros(3)], radius, objective, steps=3)
    assert all(np.isfinite(part).all() for part in (*worst[:4], *worst.perturbation))
    assert np.linalg.norm(worst.perturbation[0]) <= radius * (1 + 1e-5)


def test_an_objective_whose_gradient_is_not_finite_at_the_start_only():
    """The slope of w^1.5 is 1.5 sqrt(w), 0 at 0, though its own slope is infinite."""
    loss_fn = lambda w: tf.reduce_sum(w[0] ** 1.5)  # noqa: E731
    worst = pga(loss_fn, [tf.zeros(1)], 0.04, "gradient_norm")
    assert float(worst.value) == pytest.approx(0.3, rel=1e-3)


def test_leaves_a_gradient_direction_that_is_hardly_a_saddle_point():
    """The rise by the top eigenvector is just above that by the gradient."""
    # Curvature 4 times radius 0.3 is just above the gradient: the rise is
    # |g| r (k + 1/k)/2 with k = 1.2, while r g/|g| gives |g| r.
    a = np.append(np.linspace(0.0, 2.0, 299), 4.0)
    g = np.eye(300)[0]
    for seed in range(3):
        worst = SEARCHES["loss"]([np.zeros(300)], 0.3, a, g, seed=seed)
        assert float(worst.increase) == pytest.approx(0.305, rel=1e-3)


@pytest.mark.parametrize("edge", [float("inf"), float("nan")])
def test_passes_over_points_that_are_not_finite(edge):
    """The best finite one is returned."""

    def loss_fn(w):
        return tf.where(w[0][0] > 1.0, edge, w[0][0])

    worst = pga(loss_fn, [tf.zeros(2)], 5.0)
    assert 0.9 < float(worst.loss) <= 1.0


def test_ball_is_joint_over_parameters_of_any_shape():
    """Scalars, matrices and empty tensors share one norm."""
    weights = [
        tf.Variable(tf.zeros([2, 3])),
        tf.Variable(0.0),
        np.zeros([0], "float32"),
    ]
    worst = pga(lambda w: tf.reduce_sum(w[0]) + 2.0 * w[1], weights, 0.5)
    # The maximum of a linear function is radius * |gradient|.
    assert float(worst.increase) == pytest.approx(0.5 * np.sqrt(6 + 4), rel=1e-5)
    assert [e.shape for e in worst.perturbation] == [(2, 3), (), (0,)]
    np.testing.assert_allclose(worst.perturbation[1], 1.0 / np.sqrt(10), rtol=1e-4)


def test_half_precision_parameters():
    """The search is in float32, the perturbation typed like the parameters."""
    worst = pga(lambda w: tf.reduce_sum(w[0]), [np.zeros(4, "float16")], 1.0)
    assert worst.perturbation[0].dtype == tf.float16
    assert worst.loss.dtype == tf.float32
    assert float(worst.loss) == pytest.approx(2.0, rel=1e-2)


def _rugged_waves(n=10):
    rng = np.random.default_rng(0)
    a = 6 * rng.standard_normal((20, n))
    return a, rng.uniform(0, 6, 20), rng.standard_normal(20)


def test_restarts_never_reduce_the_value():
    """The best start counts."""
    data = _rugged_waves()
    values = [
        float(PGA(waves, "loss", 3, restarts)([np.zeros(10)], 2.0, *data).value)
        for restarts in (1, 4, 8)
    ]
    assert values == sorted(values)
    assert values[0] < values[-1]


def test_seed_determines_the_result():
    """The same seed gives the same bits, another one does not."""
    search = PGA(waves, steps=3)
    first, again, other = (
        search([np.zeros(10)], 2.0, *_rugged_waves(), seed=seed).perturbation[0].numpy()
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("method", ["pga", "apgd"])
def test_eager_graphs_and_xla_agree(method):
    """Up to rounding errors."""
    a, g = np.geomspace(1e-3, 1, 5), np.ones(5)
    arguments = [np.ones(5)], 0.7, a, g
    search = PGA(quadratic, method=method)
    expected = search(*arguments)
    radius = tf.constant(0.7, tf.float64)
    nested, compiled = (
        tf.function(lambda r: search(arguments[0], r, a, g), jit_compile=xla)(radius)
        for xla in (False, method == "apgd")  # XLA takes long to compile the other.
    )
    tf.config.run_functions_eagerly(True)
    try:
        eager = search(*arguments)
    finally:
        tf.config.run_functions_eagerly(False)
    for other in (nested, compiled, eager):
        for x, y in zip(tf.nest.flatten(expected), tf.nest.flatten(other), strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-6)


def test_one_graph_serves_all_radii_parameters_and_data():
    """The loss is not traced again."""
    traces = []

    def loss_fn(params, scale):
        traces.append(None)
        return scale * tf.reduce_sum(params[0] ** 2)

    search = PGA(loss_fn, steps=2)
    search([np.zeros(3)], 1.0, tf.constant(1.0, tf.float64))
    count = len(traces)
    worst = search([np.ones(3)], 0.1, tf.constant(5.0, tf.float64), seed=7)
    assert len(traces) == count
    # The maximum is along the gradient: 5 ((sqrt(3) + 0.1)^2 - 3).
    assert float(worst.increase) == pytest.approx(5 * (0.2 * 3**0.5 + 0.01), rel=1e-3)


@pytest.mark.parametrize("offset", [0.0, 1.0, 100.0])
def test_increase_survives_rounding(offset):
    """However large the loss is that it is added to."""
    # 1e-3^2/2 = 5e-7, of which a float32 difference at 100 shows nothing.
    worst = pga(lambda w: offset + tf.reduce_sum(w[0] ** 2) / 2, [tf.zeros(9)], 1e-3)
    assert float(worst.increase) == pytest.approx(5e-7, rel=1e-3)


def test_increase_stays_within_rounding_of_the_difference():
    """The trapezoidal rule alone would not."""
    # The trapezoid sees gradients 0 at both ends of a full wave and misses a step.
    f0, f, g, e = (tf.constant(x) for x in (1.0, 3.0, [0.0], [1.0]))
    assert float(increase(f0, g, f, g, e, 1e-7)) == pytest.approx(2.0, abs=1e-5)


@pytest.mark.parametrize(("end", "expected"), [(np.nan, np.nan), (np.inf, np.inf)])
def test_increase_of_a_loss_that_is_not_finite(end, expected):
    """It is the difference, whatever the slopes are."""
    f0, f, g, e = (tf.constant(x) for x in (1.0, end, [1.0], [1.0]))
    np.testing.assert_equal(float(increase(f0, g, f, g, e, 1e-7)), expected)


@pytest.mark.parametrize("radius", [-1.0, float("nan"), float("inf")])
def test_radius_must_be_valid(radius):
    """One line says the rule."""
    with pytest.raises(ValueError, match=r"`radius` must be .* Received: radius="):
        pga(lambda w: tf.reduce_sum(w[0]), [tf.zeros(2)], radius)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ({"objective": "loss_norm"}, r"`objective` must be one of \('loss', 'gradient"),
        ({"method": "fgsm"}, r"`method` must be one of \('pga', 'apgd'\). .*'fgsm'"),
        ({"steps": 0}, "`steps` must be an integer >= 1. Received: steps=0"),
        (
            {"restarts": 0},
            "`restarts` must be .* Received: restarts=0",
        ),
        ({"restarts": 1.5}, "`restarts` must be an integer >= 1"),
    ],
)
def test_arguments_must_be_valid(argument, message):
    """One line says the rule."""
    with pytest.raises(ValueError, match=message):
        pga(lambda w: tf.reduce_sum(w[0]), [tf.zeros(2)], 0.1, **argument)


def test_counts_may_be_of_numpy():
    """As they come out of an array."""
    counts = {"steps": np.int64(1), "restarts": np.uint8(2)}
    worst = pga(lambda w: tf.reduce_sum(w[0]), [tf.zeros(2)], 1.0, **counts)
    assert float(worst.value) == pytest.approx(2**0.5)


def test_parameters_must_not_be_empty():
    """There would be no ball."""
    with pytest.raises(ValueError, match="`params` must be a list of at least one"):
        lrlearn.evaluation.pga(lambda w: 0.0, [], 0.1)

import numpy as np
import pytest

from lrlearn.regularizers import GAM
from tests.regularizers.problems import Convex, ones, quadratic, unit, values


@pytest.mark.parametrize(
    "variant, expected",
    [
        ("algorithm2", [0.9759130445, 11.5984865352]),
        ("released", [0.9503155768, 11.6007161811]),
        ("hvp", [1.0036250377, 10.3983540011]),
    ],
)
def test_check_values(variant, expected):
    gam = GAM(0.1, 0.1, alpha=0.4, beta=0.5, gamma=0.4, variant=variant)
    _, field = gam.gradients(quadratic, ones())
    np.testing.assert_allclose(values(field), expected, atol=1e-9)


def four_gradients(problem, w, rho, rho_perturb):
    grad = problem.gradient
    g_0 = grad(w)
    g_1 = grad(w + rho_perturb * unit(g_0))
    w_2 = w + rho * unit(g_1 - g_0)
    g_2 = grad(w_2)
    return g_0, g_1, g_2, grad(w_2 + rho_perturb * unit(g_2)), w_2


# A beta above 1 tells |1 - beta| from 1 - beta.
@pytest.mark.parametrize("beta", [0.2, 1.5])
@pytest.mark.parametrize("variant", ["algorithm2", "released"])
def test_four_gradient_forms_equal_the_formula(variant, beta):
    problem, alpha, gamma = Convex(), 0.3, 0.6
    g_0, g_1, g_2, g_3, w_2 = four_gradients(problem, problem.w, 0.3, 0.2)
    h_plus = alpha * g_1 + (1 - alpha) * g_3
    h_minus = {
        "algorithm2": beta * g_0 + (1 - beta) * g_2,
        "released": g_0 + abs(1 - beta) * g_2,
    }[variant]
    parallel = (h_minus @ h_plus) / (h_plus @ h_plus) * h_plus
    gam = GAM(0.3, 0.2, alpha, beta, gamma, variant)
    _, field = gam.gradients(problem.loss_fn, problem.params())
    np.testing.assert_allclose(
        values(field), h_plus - gamma * (h_minus - parallel), rtol=1e-9
    )
    penalty = gam.penalty(problem.loss_fn, problem.params())
    expected = 0.3 * np.linalg.norm(problem.gradient(w_2))
    np.testing.assert_allclose(penalty, expected, rtol=1e-9)


def test_hvp_equals_the_formula():
    problem, w, rho, alpha = Convex(), Convex.w, 0.3, 0.6
    f = problem.hessian(w) @ unit(problem.gradient(w))
    w_2 = w + rho * unit(f)
    g_2 = problem.gradient(w_2)
    expected = problem.gradient(w) + alpha * rho * problem.hessian(w_2) @ unit(g_2)
    # Its radius along gradients is not used.
    gam = GAM(rho, rho_perturb=0, alpha=alpha, variant="hvp")
    _, field = gam.gradients(problem.loss_fn, problem.params())
    np.testing.assert_allclose(values(field), expected, rtol=1e-10)
    penalty = gam.penalty(problem.loss_fn, problem.params())
    np.testing.assert_allclose(penalty, rho * np.linalg.norm(g_2), rtol=1e-10)


def test_penalty_is_at_most_the_largest_gradient_norm_nearby():
    # On x' diag(1, 10) x / 2 the largest |H(w + e)|, |e| = rho, found by search.
    angles = np.linspace(0, 2 * np.pi, 100_000)
    x, y = 1 + 0.1 * np.cos(angles), 10 * (1 + 0.1 * np.sin(angles))
    largest = 0.1 * np.sqrt(x**2 + y**2).max()
    for variant in ("algorithm2", "released", "hvp"):
        penalty = float(GAM(0.1, 0.1, variant=variant).penalty(quadratic, ones()))
        assert 0.999 * largest < penalty <= largest + 1e-6


def test_unknown_variant_lists_valid_ones():
    with pytest.raises(
        ValueError, match="algorithm2.*released.*hvp.*Received: variant"
    ):
        GAM(variant="exact")


def test_rho_without_rho_perturb_raises():
    with pytest.raises(ValueError, match="`rho_perturb` must be positive if `rho`"):
        GAM(rho=0.1, rho_perturb=0)

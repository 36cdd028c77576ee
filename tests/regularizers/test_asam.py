import numpy as np
import pytest

from lrlearn.regularizers import ASAM, SAM
from tests.regularizers.problems import Convex, ones, quadratic, values


@pytest.mark.parametrize("rho, eta", [(0.1, 0.01), (0.5, 0.0), (2.0, 1.0)])
def test_equals_the_formula(rho, eta):
    """Equation 4 of Kwon et al."""
    problem = Convex()
    w = problem.w
    t, g = np.abs(w) + eta, problem.gradient(w)
    e = rho * t**2 * g / np.linalg.norm(t * g)
    loss, field = ASAM(rho, eta).gradients(problem.loss_fn, problem.params())
    np.testing.assert_allclose(loss, problem.loss(w), rtol=1e-12)
    np.testing.assert_allclose(values(field), problem.gradient(w + e), rtol=1e-6)
    penalty = ASAM(rho, eta).penalty(problem.loss_fn, problem.params())
    np.testing.assert_allclose(penalty, problem.loss(w + e) - loss, rtol=1e-6)


def test_is_sam_where_all_parameters_are_of_size_one():
    """There T_w is the identity."""
    _, received = ASAM(0.1, eta=0.0).gradients(quadratic, ones())
    _, expected = SAM(0.1).gradients(quadratic, ones())
    np.testing.assert_allclose(values(received), values(expected), rtol=1e-6)


def test_does_not_depend_on_the_scale_of_the_parameters():
    """L(w) and L(w/c) at c w: the penalty is the same, SAM's is not."""
    problem, scale = Convex(), np.float64([2.0, 0.5, 3.0, 1.0, 7.0, 0.1])

    def rescaled(params):
        (w,) = params
        return problem.loss_fn([w / scale])

    here, there = problem.params(shapes=((6,),)), [problem.w * scale]
    for regularizer, same in ((ASAM(0.3, eta=0.0), True), (SAM(0.3), False)):
        penalties = (
            regularizer.penalty(problem.loss_fn, here),
            regularizer.penalty(rescaled, there),
        )
        assert np.allclose(*penalties, rtol=1e-6) == same

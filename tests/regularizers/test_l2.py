import numpy as np

from lrlearn.regularizers import L2
from tests.regularizers.problems import Convex, values


def test_equals_the_formula():
    problem, weight = Convex(), 0.3
    _, field = L2(weight).gradients(problem.loss_fn, problem.params())
    expected = problem.gradient(problem.w) + weight * problem.w
    np.testing.assert_allclose(values(field), expected, rtol=1e-12)
    penalty = L2(weight).penalty(problem.loss_fn, problem.params())
    np.testing.assert_allclose(penalty, 0.15 * problem.w @ problem.w, rtol=1e-12)

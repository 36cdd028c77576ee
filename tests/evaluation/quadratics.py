"""Exact maxima of convex quadratics on balls."""

import numpy as np
import scipy.optimize


def maximum(eigenvalues, gradient, radius):
    """Returns max of g'e + e'diag(a)e/2 over |e| <= r, by the secular equation.

    Conn, Gould and Toint, Trust-Region Methods, 7.3: e = g/(mu - a) with the
    mu >= max(a) that gives |e| = r; where none does, the top eigenvector fills up.
    """
    a, g = np.asarray(eigenvalues, float), np.asarray(gradient, float)
    top = a.max()
    rest = a < top

    def excess(mu):
        return np.linalg.norm(g / (mu - a)) - radius

    if not g[~rest].any():
        e = np.zeros_like(g)
        e[rest] = g[rest] / (top - a[rest])
        if e @ e <= radius**2:
            e[~rest] = np.eye((~rest).sum())[0] * np.sqrt(radius**2 - e @ e)
            return g @ e + e @ (a * e) / 2
    below = top + np.linalg.norm(g[~rest]) / radius * (1 - 1e-9)
    above = top + np.linalg.norm(g) / radius * (1 + 1e-9)
    if below == top:
        below = top + 1e-14 * (above - top)
    mu = scipy.optimize.brentq(excess, below, above, xtol=1e-300, rtol=1e-14)
    e = g / (mu - a)
    return g @ e + e @ (a * e) / 2


def spectra(n):
    """Returns eigenvalues of several kinds by name, in ascending order."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, n))
    return {
        "equal": np.ones(n),
        "uniform": np.linspace(0.0, 1.0, n),
        "ill-conditioned": np.geomspace(1e-6, 1.0, n),
        "outlier": np.append(np.geomspace(1e-4, 1e-1, n - 1), 1.0),
        "two on top": np.append(np.full(n - 2, 0.3), [0.97, 1.0]),
        "wishart": np.linalg.eigvalsh(x @ x.T / n),
    }


def gradients(n):
    """Returns gradients of several kinds by name, in the eigenbasis."""
    random = np.random.default_rng(1).standard_normal(n)
    return {
        "zero": np.zeros(n),
        "random": random,
        "no part in the top eigenvector": np.append(random[:-1], 0.0),
        "top eigenvector": np.eye(n)[-1],
        "bottom eigenvector": np.eye(n)[0],
    }

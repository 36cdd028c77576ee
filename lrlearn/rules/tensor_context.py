"""Features of whole tensors and of the run that they are in."""

import math

import numpy as np
from keras import ops

from lrlearn.rules.tensor_statistics import root

NUM_CONTEXT = 16


class TensorContext:
    r"""What is known of whole tensors; all is `[tensors]`.

    $\mathrm{rms}$ is over a tensor; for the symbols see `TensorStatistics`.

    Args:
        kinds: The tensors' `Kind`s, a list.
        means: What `TensorStatistics.means` returned for them, `[9, tensors]`.

    Attributes:
        kinds: The `Kind`s.
        a_rms: $\mathrm{rms}(a_{0.9})$.
        scales: What `TensorStatistics.features` needs, `[4, tensors]`.
        coherence: $\kappa = \sqrt f\,\mathrm{rms}(\bar a)/\mathrm{rms}(a)$.
            $\bar a$ is the mean of $a$ over a unit's $f$ inputs, so $\kappa$ is about 1
            for a random $a$, and $\sqrt f$ if all weights of a unit move together: with
            inputs of a large mean that shifts the unit a long way. 0 for a vector.
    """

    def __init__(self, kinds, means):
        self.kinds = kinds
        self._w_rms, self.a_rms, *rest = ops.unstack(root(means[:6]), 6)
        self._a_slow_rms, self._m_rms, self._m_slow_rms, g_rms = rest
        self._cosine = means[6] / (self._m_rms * g_rms)
        self.scales = ops.stack([self._m_rms, g_rms, self._w_rms, means[7]])
        fan_in = [kind.rows if kind.is_matrix else 0 for kind in kinds]
        self.coherence = _constants(np.sqrt(fan_in)) * root(means[8]) / self.a_rms

    def features(self, run, t):
        r"""Returns features of the tensors and of the run, `[16, tensors]`.

        They are the logarithms of $\mathrm{rms}(w)$ and $\mathrm{rms}(a_\beta)$, the
        cosine of momentum and gradient, the ratio of the momenta, the coherence, the
        tensor's kind, fan-in and size, and how far a `Run` is.

        Args:
            run: A resolved `Run`.
            t: Number of this step, float32, at most `run.total_steps`.
        """
        of_tensors = [
            ops.log(self._w_rms + 1e-3) / 3.0,
            ops.log(self.a_rms + 1e-3),
            ops.log(self._a_slow_rms + 1e-3),
            self._cosine,
            ops.log(self._m_rms / self._m_slow_rms + 1e-3),
            ops.log(1.0 + self.coherence) / 2.0,
        ]
        facts = np.transpose([_facts(kind) for kind in self.kinds])
        of_run = _progress(run, t)[:, None] + ops.zeros_like(self._w_rms)
        return ops.concatenate([ops.stack(of_tensors), _constants(facts), of_run])


def _facts(kind):
    fan_in, size = kind.rows, kind.rows * kind.columns
    return float(kind.is_matrix), math.log(fan_in) / 5.0, math.log(size) / 8.0


def _constants(values):
    return ops.convert_to_tensor(np.asarray(values, "float32"))


def _progress(run, t):
    """Returns how far a run is and how long it is, `[7]`."""
    progress, log_epochs = t / run.total_steps, ops.log(run.epochs) / 5.0
    return ops.stack(
        [
            2.0 * progress - 1.0,
            ops.log(1.0 - progress + 0.02) / 3.0,
            ops.tanh(t / 10.0),
            ops.tanh(t / 100.0),
            ops.log(run.total_steps) / 7.0 - 1.0,
            log_epochs,
            progress * log_epochs,
        ]
    )

"""A bound on updates, for networks unlike those of meta-training."""

import math

from keras import ops

from lrlearn.rules.building_blocks import bound
from lrlearn.rules.tensor_statistics import of_all, rms

_SHARE, _TOTAL = 0.0005, 16.0
_SMALLEST = 0.1


def guarded(d, w, groups, run, step):
    r"""Returns the updates, each of a matrix limited to a share of its weights.

    $$d \leftarrow d\,\min\left(1, \frac
      {c\,\max(\mathrm{rms}(w), 0.1/\sqrt f)}{\mathrm{rms}(d)}\right), \qquad
      c = 0.0005 + \frac{16}{T},$$

    with the root mean squares over a matrix, its fan-in $f$ and the length $T$ of the
    run as the rule is told it. A learning rate multiplies the result. At a rate of 1 a
    matrix grows in $T$ steps by a factor of at most $e^{16 + 0.0005\,T}$. Vectors and
    single rows, as most biases are, start from 0 and are left as they are.

    Args:
        d: Updates, float32 `[n]`.
        w: Parameters, float32 `[n]`.
        groups: The `TensorGroups` of the tensors.
        run: A `Run`.
        step: Number of this step, from 1.

    Reference:
        [You et al., 2020](https://arxiv.org/abs/1904.00962), section 3: there every
        step is in proportion to a layer's weights, here the largest one.
    """
    run, _ = run.resolve(step)
    c = _SHARE + _TOTAL / run.total_steps
    parts = zip(groups.split(d), groups.split(w), strict=True)
    return groups.join([_bounded(*part, c) for part in parts])


def _bounded(d, w, c):
    fan_in = w.shape[-2]
    if fan_in == 1:
        return d
    w_rms, d_rms = (rms(bound(x, to_sum=True)) for x in (w, d))
    most = c * ops.maximum(w_rms, _SMALLEST / math.sqrt(fan_in))
    return d * of_all(ops.minimum(most / d_rms, 1.0))

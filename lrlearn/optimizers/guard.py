"""A bound on updates, for networks unlike those of meta-training."""

import math

from keras import ops

from lrlearn.rules.tensor_statistics import of_all, rms

_SHARE, _TOTAL = 0.0005, 16.0
_SMALLEST = 0.1


def guarded(d, w, groups, run, step):
    r"""Returns the updates, of which none moves a matrix far beside its weights.

    $$d \leftarrow d\,\min\left(1, \frac
      {c\,\max(\mathrm{rms}(w), 0.1/\sqrt f)}{\mathrm{rms}(d)}\right), \qquad
      c = 0.0005 + \frac{16}{T},$$

    with the root mean squares over a matrix, its fan-in $f$ and the length $T$ of the
    run. So over all steps the logarithm of its size changes by at most
    $16 + 0.0005\,T$. Vectors and single rows are left as they are: biases start from 0.

    Args:
        d: Updates, float32 `[n]`.
        w: Parameters, float32 `[n]`.
        groups: The `TensorGroups` of the tensors.
        run: A `Run`.
        step: Number of this step, from 1.

    Reference:
        [You et al., 2020](https://arxiv.org/abs/1904.00962), section 3: steps in
        proportion to a layer's weights, which here is the most and not the rule.
    """
    run, _ = run.resolve(step)
    c = _SHARE + _TOTAL / run.total_steps
    parts = zip(groups.split(d), groups.split(w), strict=True)
    return groups.join([_bounded(*part, c) for part in parts])


def _bounded(d, w, c):
    fan_in = w.shape[-2]
    if fan_in == 1:
        return d
    size = ops.maximum(rms(w), _SMALLEST / math.sqrt(fan_in))
    return d * of_all(ops.minimum(c * size / rms(d), 1.0))

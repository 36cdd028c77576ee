"""From a rule's outputs to parameter updates."""

from keras import ops


def adam_like(direction, log_step, log_decay, w):
    r"""Returns an update with a learned step size and a learned decay.

    $$d = -0.01\,e^{\mathrm{clip}(2 o_1, -5, 2.5)}\,u
          - 0.0003\,e^{\mathrm{clip}(2 o_2, -6, 4)}\,w.$$

    Args:
        direction: Tensor `[n]`, $u$, about as large as Adam's direction.
        log_step: Tensor `[n]`, $o_1$.
        log_decay: Tensor `[n]`, $o_2$.
        w: Tensor `[n]`, the parameter.
    """
    step = 0.01 * ops.exp(ops.clip(2.0 * log_step, -5.0, 2.5))
    decay = 0.0003 * ops.exp(ops.clip(2.0 * log_decay, -6.0, 4.0))
    return -step * direction - decay * w

"""What was asked after the data had been seen: it is no part of the protocol."""

import functools

from paper.report.claims import (
    FLATNESS,
    FLATTER,
    GENERALIZATION,
    STABILITY,
    STABLE_RELU,
    STEADY,
    TRANSFER,
    Claim,
    regularized,
    with_relu,
)
from paper.report.differences import AtLoss

# Claims and what they are without CIFAR-10, where many runs stay at chance.
WITHOUT = {
    GENERALIZATION: "1. without CIFAR-10",
    FLATTER: "2. without CIFAR-10",
    STABLE_RELU: "3. MLP-ReLU, without CIFAR-10",
    TRANSFER: "4. without CIFAR-10",
}


def explorations(content, regime, rule):
    """Returns effects that shed light on the claims, a list of `Claim`s.

    Args:
        content: A `Content`.
        regime: Name of the regime.
        rule: `"LSTM"` or `"MLP"`.
    """
    tasks = content.judge.tasks(regime)
    others = [task for task in tasks if not task.startswith("cifar10/")]
    found = {
        **_accuracies(content, regime, rule, tasks, others),
        **_ratios(content.judge, regime, rule, tasks, others),
        **_controls(content.judge, regime, rule, tasks),
    }
    return [Claim(name, regime, rule, parts) for name, parts in found.items()]


def _accuracies(content, regime, rule, tasks, others):
    judge = content.judge
    at_loss = AtLoss(content.matched_accuracy, "points")
    gain = functools.partial(
        judge.gain, regime, regularized(rule), references=[f"{rule} none"]
    )
    return {
        WITHOUT[GENERALIZATION]: gain(others),
        "1. stopped early": gain(tasks, measure=content.stopped),
        "1. stopped early, without CIFAR-10": gain(others, measure=content.stopped),
        "1. at matched loss": gain(tasks, measure=at_loss),
        "1. at matched loss, without CIFAR-10": gain(others, measure=at_loss),
        WITHOUT[TRANSFER]: gain(judge.unseen(others, regime)),
    }


def _ratios(judge, regime, rule, tasks, others):
    learned, none = regularized(rule), [f"{rule} none"]
    relu, relu_others = with_relu(tasks), with_relu(others)
    ratio = functools.partial(judge.flatness, regime)
    steady = functools.partial(ratio, references=STEADY, balls=STABILITY)
    return {
        WITHOUT[FLATTER]: ratio(learned, others, none, FLATNESS),
        WITHOUT[STABLE_RELU]: steady(learned, relu_others),
        "3. MLP-ReLU, of LO none": steady(none, relu),
        "3. MLP-ReLU, of LO none, without CIFAR-10": steady(none, relu_others),
        "3. MLP-ReLU, to LO none": ratio(learned, relu, none, STABILITY),
        "3. MLP-ReLU, bracketed": steady(learned, relu, bracketed=True),
        "3. all tasks, of LO none": steady(none, tasks),
    }


def _controls(judge, regime, rule, tasks):
    none = [f"{rule} none"]
    return {
        f"LO {teacher} minus LO none": judge.gain(
            regime, [f"{rule} {teacher}"], tasks, none
        )
        for teacher in ("L2", "held-out")
    }

r"""Trains a network with a learned optimizer, a Keras optimizer, or a regularizer.

    python -m binaries.train --task=digits/mlp --optimizer=lo_none
    python -m binaries.train --optimizer=adam --learning_rate=0.01 \
        --regularizer=sam --regularizer_args=rho=0.05

Prints loss and accuracy, and saves the model, compiled: after `import lrlearn`,
`keras.models.load_model` lets training go on, with the regularizer too. A JSON file
beside it holds the results. A run that was stopped, or killed, goes on from its last
checkpoint by the same command.
"""

import inspect
import math
import pathlib
import warnings

import numpy as np
from absl import flags

from binaries import cli, shared_flags

shared_flags.define_task()
shared_flags.define_data()
shared_flags.define_batch_size()
_OPTIMIZER = flags.DEFINE_string(
    "optimizer",
    "adam",
    "A preset's name, directory or URL, or a Keras optimizer in lower case.",
)
_LEARNING_RATE = flags.DEFINE_float(
    "learning_rate",
    None,
    "Learning rate, for a preset a factor on its steps; default: the optimizer's.",
    lower_bound=0.0,
)
_OPTIMIZER_ARGS = flags.DEFINE_list(
    "optimizer_args", [], "Its other arguments, e.g. momentum=0.9,nesterov=true."
)
shared_flags.define_regularizer("Regularizer that the optimizer's gradients come from")
_STEPS = flags.DEFINE_integer(
    "steps", None, "Training steps, one batch each; default: 1000.", lower_bound=1
)
_EPOCHS = flags.DEFINE_integer(
    "epochs", None, "Instead of --steps: passes over the data.", lower_bound=1
)
flags.mark_flags_as_mutual_exclusive(["steps", "epochs"])
_SEED = flags.DEFINE_integer(
    "seed", 0, "Seed of the initial weights and the batches.", lower_bound=0
)
_OUTPUT = flags.DEFINE_string(
    "output",
    "runs/train/model.keras",
    "File of the model; it and the .json file of that name are replaced.",
)

_CURE = "a smaller --learning_rate, or another --optimizer"


def main():
    """Trains by the flags."""
    from lrlearn.evaluation import Training
    from lrlearn.meta.checkpoint import CheckpointDirectory
    from lrlearn.meta.interrupt import deferred_interrupt

    output = _output_file()
    task = shared_flags.load()
    training = Training(task, _optimizer(), shared_flags.regularizer())
    steps = _steps(task)
    store = CheckpointDirectory(
        output.with_suffix(".checkpoint"), _configuration(training, steps)
    )
    with deferred_interrupt() as interrupted, store:
        step = _train(training, steps, store, interrupted)
        model = _compiled(training)
        _save(model, output)
        if interrupted():
            raise interrupted()(
                f"Interrupted at step {step} of {steps}; the model so far is {output}. "
                "The same command goes on."
            )
    results = _evaluate(task, model)
    content = {"steps": steps, "results": results, **cli.provenance()}
    cli.write_json(output.with_suffix(".json"), content)
    store.clear()
    print(f"\n{'':12}{'loss':>8}{'accuracy':>10}")
    for split, result in results.items():
        print(f"{split:12}{result['loss']:8.4f}{result['accuracy']:10.4f}")
    print(f"Saved the model {output}.")


def _output_file():
    output = pathlib.Path(_OUTPUT.value)
    if output.suffix != ".keras" or output.is_dir():
        raise ValueError(f"--output must be a .keras file. Received: {output}")
    cli.output_directory(output.parent)
    return output


def _optimizer():
    import lrlearn

    name = _OPTIMIZER.value
    arguments = cli.parse_arguments(_OPTIMIZER_ARGS.value)
    if _LEARNING_RATE.value is not None:
        arguments["learning_rate"] = _LEARNING_RATE.value
    classes, presets = _keras_optimizers(), sorted(lrlearn.LearnedOptimizer.presets)
    is_path = pathlib.Path(name).is_dir() or "://" in name
    if name not in [*classes, *presets] and not is_path:
        raise ValueError(
            f"--optimizer must be one of the presets {presets}, the directory or URL "
            f"of one, or one of Keras's {sorted(classes)}. Received: {name}"
        )
    make = classes.get(name) or lrlearn.LearnedOptimizer.from_preset
    try:
        return make(**arguments) if name in classes else make(name, **arguments)
    except TypeError as error:
        raise ValueError(f"--optimizer_args of {name}: {error}") from None


def _keras_optimizers():
    """Returns the classes by name; those that wrap other optimizers are left out."""
    import keras

    return {
        name.lower(): cls
        for name, cls in inspect.getmembers(keras.optimizers, inspect.isclass)
        if "learning_rate" in inspect.signature(cls).parameters
    }


def _steps(task):
    if _EPOCHS.value is None:
        return _STEPS.value or 1000
    return _EPOCHS.value * math.ceil(len(task.train[0]) / task.batch_size)


def _configuration(training, steps):
    """Returns what determines the run, as JSON types."""
    from lrlearn.meta.fingerprint import describe, describe_task, digest

    return {
        "task": describe_task(training.task),
        "optimizer": describe(training.optimizer),
        "optimizer_variables": digest(v.numpy() for v in training.optimizer.variables),
        "regularizer": describe(training.regularizer),
        "steps": steps,
        "seed": _SEED.value,
    }


def _train(training, steps, store, interrupted):
    """Trains until the end or an interrupt, and returns the number of steps taken."""
    from tqdm.auto import tqdm

    every, losses = min(100, math.ceil(steps / 20)), []
    training.start([_SEED.value], steps=steps)
    if arrays := store.load():
        training.restore(arrays)
        losses.append(float(arrays["first_loss"]))
    first = int(arrays["step"]) if arrays else 0
    with tqdm(total=steps, desc=training.task.name, unit="step", initial=first) as bar:
        for step in [*range(first, steps, every), steps]:
            training.train(step)
            (record,) = training.evaluate()
            losses.append(record["train_loss"])
            if not math.isfinite(losses[-1]):
                store.clear()
                raise ValueError(
                    f"Training diverged by step {step}, nothing is saved; try {_CURE}."
                )
            bar.update(step - bar.n)
            bar.set_postfix(
                loss=f"{record['train_loss']:.4g}",
                validation_accuracy=f"{record['validation_accuracy']:.3f}",
            )
            first_loss = np.array(losses[0])
            store.save(step, {"first_loss": first_loss, **training.arrays()})
            if interrupted():
                break
    if losses[-1] > 2 * losses[0]:
        rise = f"{losses[0]:.4g} to {losses[-1]:.4g}"
        warnings.warn(
            f"Training diverged, from a loss of {rise}; try {_CURE}.", stacklevel=1
        )
    return step


def _compiled(training):
    """Returns the model as it was trained, for `fit` to go on."""
    import lrlearn

    model, arguments = training.model, {"metrics": ["accuracy"]}
    if training.regularizer is not None:
        model = lrlearn.SharpnessAwareModel.from_model(model)
        arguments["regularizer"] = training.regularizer
    model.compile(training.optimizer, training.task.loss, **arguments)
    return model


def _save(model, output):
    """Writes the model; a file that is there is replaced whole or not at all."""
    partial = output.with_name(f".{output.stem}.part.keras")
    try:
        model.save(partial)
        output.with_suffix(".json").unlink(missing_ok=True)  # of an earlier model
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def _evaluate(task, model):
    splits = {name: getattr(task, name) for name in ("train", "validation", "test")}
    results = {}
    for name, (x, y) in splits.items():
        loss, accuracy = model.evaluate(x, y, batch_size=1024, verbose=0)
        results[name] = {"loss": loss, "accuracy": accuracy}
    return results


if __name__ == "__main__":
    cli.run(main)

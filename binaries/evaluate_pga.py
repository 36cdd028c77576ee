r"""Measures how flat the loss is around saved models.

    python -m binaries.evaluate_pga --model=runs/train/model.keras --task=digits/mlp
    python -m binaries.evaluate_pga --model=adam.keras,sam.keras --split=test --hessian

For each radius, projected gradient ascent (PGA) looks for the largest loss within that
distance of the weights. Prints a table and writes `pga.csv`, `pga.png` and `pga.json`
(settings and versions).
"""

from absl import flags

from binaries import cli, model_flags

model_flags.define()
_RADII = flags.DEFINE_list(
    "radii", ["0.001", "0.005", "0.05", "0.1"], "Largest L2 distances of the weights."
)
_RELATIVE = flags.DEFINE_bool(
    "relative", False, "Multiply the radii by the L2 norm of the weights."
)
_ADAPTIVE = flags.DEFINE_bool(
    "adaptive", False, "Measure distances, and gradients, relative to each weight."
)
_METHOD = flags.DEFINE_enum(
    "method", "pga", ["pga", "apgd"], "Search: ours, or plain Auto-PGD."
)
_HESSIAN = flags.DEFINE_bool(
    "hessian",
    False,
    "Add the top eigenvalue and the trace of the Hessian, with its standard error, at "
    "the weights themselves. An eigenvalue that has not converged is a lower bound.",
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the searches.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", "runs/pga", "Output directory.")


def main():
    """Measures by the flags."""
    import pandas as pd
    from tqdm.auto import tqdm

    radii = cli.numbers(_RADII)
    task, x, y, models = model_flags.load()
    output = cli.output_directory(_OUTPUT.value)
    frames = []
    for path, model in tqdm(models.items(), desc="PGA", unit="model"):
        frame = _measure(model, x, y, radii)
        frame.insert(0, "model", path)
        frames.append(frame)
    frame = pd.concat(frames, ignore_index=True)
    _write(frame, output)
    print(f"\n{len(x)} {flags.FLAGS.split} examples of {task.name}:\n")
    print(frame.to_string(index=False, float_format="{:.4g}".format))
    print(f"\nWritten: {output}/\n  pga.csv, pga.png, pga.json")


def _measure(model, x, y, radii):
    from lrlearn import evaluation

    frame = evaluation.sharpness(
        model,
        x,
        y,
        radii,
        relative=_RELATIVE.value,
        adaptive=_ADAPTIVE.value,
        method=_METHOD.value,
        seed=_SEED.value,
    )
    return frame.assign(**_curvature(model, x, y)) if _HESSIAN.value else frame


def _curvature(model, x, y):
    """Returns the columns of --hessian, a dict."""
    from lrlearn import evaluation

    top = evaluation.top_eigenvalue(model, x, y, seed=_SEED.value)
    trace = evaluation.hessian_trace(model, x, y, seed=_SEED.value)
    return {
        "top_eigenvalue": float(top.value),
        "converged": bool(top.converged),
        "trace": float(trace.value),
        "trace_error": float(trace.standard_error),
    }


def _write(frame, output):
    from lrlearn import plots

    frame.to_csv(output / "pga.csv", index=False)
    cli.write_json(output / "pga.json", cli.provenance())
    optimizer = frame["model"].map(model_flags.labels())
    lines = frame.assign(optimizer=optimizer, network=flags.FLAGS.task, seed=0)
    figure = plots.sharpness_by_radius(lines)
    if _RELATIVE.value:
        figure.axes[0].set_xlabel("Radius / norm of the weights")
    if _ADAPTIVE.value:
        figure.axes[0].set_xlabel("Radius, relative to each weight")
    figure.savefig(output / "pga.png", dpi=150)


if __name__ == "__main__":
    cli.run(main)

r"""Draws the loss of saved models on planes through their weights.

    python -m binaries.plot_landscape --model=adam.keras,sam.keras --task=digits/mlp

The planes are spanned by two random directions, normalized filter by filter to each
model's weights; models of one architecture share the random numbers. Writes
`landscape.png`, `landscape.csv` and `landscape.json` (settings and versions).
"""

from absl import flags

from binaries import cli, model_flags

model_flags.define()
_LABELS = flags.DEFINE_list(
    "labels", None, "Titles of the panels; default: the names of the files."
)
_SPAN = flags.DEFINE_float("span", 1.0, "Largest multiple of a direction.")
_POINTS = flags.DEFINE_integer(
    "points", 25, "Points along each direction; if odd, the model itself is one."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the directions.", lower_bound=0)
_OUTPUT = flags.DEFINE_string("output", "runs/landscape", "Output directory.")


def main():
    """Draws by the flags."""
    import pandas as pd
    from tqdm.auto import tqdm

    from lrlearn import evaluation

    labels = _labels()
    task, x, y, models = model_flags.load()
    output = cli.output_directory(_OUTPUT.value)
    frames = []
    for path, model in tqdm(models.items(), desc="Landscapes", unit="model"):
        frame = evaluation.loss_landscape(
            model, x, y, span=_SPAN.value, points=_POINTS.value, seed=_SEED.value
        )
        frame.insert(0, "optimizer", labels[path])
        frame.insert(0, "model", path)
        frames.append(frame)
    _write(pd.concat(frames, ignore_index=True), output)
    print(f"Loss on {len(x)} {flags.FLAGS.split} examples of {task.name}.")
    print(f"Written: {output}/\n  landscape.png, landscape.csv, landscape.json")


def _labels():
    """Returns the panels' titles by path."""
    labels = model_flags.labels()
    titles = _LABELS.value or list(labels.values())
    if len(set(titles)) != len(titles) or len(titles) != len(labels):
        raise ValueError(
            "--labels must be one for each of --model, all different. Received: "
            f"{','.join(titles)} for {len(labels)} models"
        )
    return dict(zip(labels, titles, strict=True))


def _write(frame, output):
    from lrlearn import plots

    frame.to_csv(output / "landscape.csv", index=False)
    cli.write_json(output / "landscape.json", cli.provenance())
    plots.loss_landscape(frame).savefig(output / "landscape.png", dpi=150)


if __name__ == "__main__":
    cli.run(main)

"""The sections of figures, which are drawn into files."""

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

from paper.grid.optimizers import RULES
from paper.report import figures, names
from paper.report.document import Figure, Heading, Paragraph

_DPI = 100
# A palette makes the files a third as large. This method keeps rare colors apart.
_COLORS, _METHOD = 256, Image.Quantize.MAXCOVERAGE
_SUBJECTS = {"sharpness": "Sharpness on", "landscapes": "Loss around what was found on"}
_LANDSCAPES = (
    Heading("Loss landscapes", 3),
    Paragraph(
        "Loss on the training images that sharpness is measured on, on planes through "
        "what the first seed (and meta-seed) ended with, the white cross. Two random "
        "directions, drawn alike for all optimizers, each filter scaled to the norm of "
        "the network's own: 1 is a change as large as the weights. A panel is one run; "
        "random directions hardly meet the sharp ones; and the shape depends on the "
        "level of the loss, too."
    ),
)


class Pictures:
    """Draws figures into the directory `figures` beside the report.

    Args:
        content: A `Content`.
        directory: The report's directory, a `pathlib.Path`.
    """

    def __init__(self, content, directory):
        self._content, self._directory = content, directory
        (directory / "figures").mkdir(parents=True, exist_ok=True)

    def section(self):
        """Returns the blocks."""
        places = [(g, r) for g in self._content.regimes for r in self._rules()]
        return [
            Heading("Figures"),
            Paragraph(
                "Bands: 95 % bootstrap intervals over meta-seeds, where there are any, "
                "and seeds. All records of a run are on the same examples. A line has "
                "a gap where a run's value is not finite."
            ),
            *self._summaries(),
            *(block for place in places for block in self._training(*place)),
            Heading("Sharpness along training", 3),
            Paragraph(
                "Largest loss and gradient norm in balls of fixed radius, and the "
                "surrogate gap: the loss at SAM's point minus that at the center. Raw "
                "largest losses mostly show the loss itself, so only the comparison at "
                "matched training loss is fair; at the two small radii the gap is the "
                "radius times the gradient norm."
            ),
            *(
                block
                for place in places
                for block in self._each_task("sharpness", figures.sharpness, *place)
            ),
            *self._landscapes(places),
        ]

    def _rules(self):
        return self._content.rules or RULES[:1]

    def _summaries(self):
        content = self._content
        seen = {task: regime for task, regime in content.names.meta_trained}

        def name(task):
            return content.names.task(task, seen.get(task))

        figure = figures.transfer(content.accuracy, content.regimes, name)
        blocks = []
        if figure:
            where = f" († meta-trained on, in {', '.join(sorted(set(seen.values())))})"
            caption = (
                "Transfer: test accuracy above LO none, points, with 95 % bootstrap "
                f"intervals{where if seen else ''}. Grey: less than half a point."
            )
            blocks.append(self._save(figure, "transfer", caption))
        for rule in self._rules():
            figure = figures.profiles(content.frames.records, content.target, rule)
            if figure:
                caption = (
                    "Performance profiles: fraction of runs that reach the target with "
                    "so many times the fewest gradients of those drawn, on the tasks "
                    f"that each optimizer was run on; {rule} rule."
                )
                blocks.append(self._save(figure, f"profiles_{rule}", caption))
        return blocks

    def _training(self, regime, rule):
        records = self._content.of("records", regime)
        records = records.assign(percent=100 * records["test_accuracy"])
        named = self._content.names.dataset
        columns = {
            "train_loss": ("Training loss", True),
            "percent": ("Test accuracy, %", False),
        }
        blocks = []
        for column, (label, log) in columns.items():
            figure = figures.trajectories(records, rule, column, label, named, log)
            if figure:
                caption = f"{label} along training, regime {regime}, {rule} rule."
                name = f"{'loss' if log else 'accuracy'}_{regime}_{rule}"
                blocks.append(self._save(figure, name, caption))
        return blocks

    def _each_task(self, name, draw, regime, rule):
        """Returns a figure of each task from the frame of that name."""
        frame = self._content.of(name, regime)
        blocks = []
        for task in names.tasks(frame["task"]):
            figure = draw(frame[frame["task"] == task], rule)
            if figure:
                title = self._content.names.task(task, regime)
                caption = f"{_SUBJECTS[name]} {title}, regime {regime}, {rule} rule."
                file = f"{name}_{regime}_{task.replace('/', '_')}_{rule}"
                blocks.append(self._save(figure, file, caption))
        return blocks

    def _landscapes(self, places):
        blocks = [
            block
            for place in places
            for block in self._each_task("landscapes", figures.landscape, *place)
        ]
        return [*_LANDSCAPES, *blocks] if blocks else []

    def _save(self, figure, name, caption):
        """Writes a figure, and returns its block."""
        path = f"figures/{name.lower()}.png"
        figure.set_dpi(_DPI)
        figure.canvas.draw()  # once; `savefig` draws twice
        image = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB")
        plt.close(figure)
        image.quantize(_COLORS, _METHOD).save(self._directory / path, optimize=True)
        return Figure(path, caption)

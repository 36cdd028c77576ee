"""The documentation's page of costs, from what `benchmarks.run` has measured."""

import pathlib

import jinja2
import pandas as pd

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
NETWORKS = {
    "mlp_20": "MLP 784-20-10",
    "mlp_128_128": "MLP 784-128-128-10",
    "mlp_512_512": "MLP 784-512-512-10",
    "frozen": "frozen convolutions",
    "cnn": "CNN",
    "resnet_20": "ResNet-20",
}
RULES = {
    "scheduled_mlp": "MLP rule with a schedule, `lo_*`",
    "scheduled_lstm_10": "LSTM of 10 with a schedule, `lo_lstm_*`",
    "per_parameter_mlp": "MLP rule without one, `PerParameterMLP`",
    "lstm_2x10": "LSTM 2x10 without one, `CoordinatewiseLSTM`",
    "lstm_2x20": "LSTM 2x20 without one, `lstm_paper_*`",
}
# What the page says in a sentence, and of which rules.
GROUPS = {
    "MLP rules": ["scheduled_mlp", "per_parameter_mlp"],
    "LSTM rules": ["scheduled_lstm_10", "lstm_2x10", "lstm_2x20"],
}
OPTIMIZERS = {
    "adam": "Adam",
    "sgd": "SGD",
    "lion": "Lion",
    "muon": "Muon",
    "sam": "SAM around Adam",
    "gsam": "GSAM around Adam",
    "gam": "GAM around Adam",
    "sam+lion": "SAM around Lion",
    "sam+muon": "SAM around Muon",
    **RULES,
}


def page(results, memory):
    """Returns the page, Markdown.

    Args:
        results: A dict as `benchmarks.run` writes it, of the groups `training_step` and
            `scaling`.
        memory: Likewise, of the group `memory`.

    Raises:
        ValueError: If a group, or Adam or SAM in it, is missing.
    """
    rows = pd.DataFrame(results["rows"])
    steps = rows[(rows["group"] == "training_step") & rows["case"].isin(NETWORKS)]
    alone = rows[rows["group"] == "scaling"]
    if not {"adam", "sam"} <= set(steps["optimizer"]) or alone.empty:
        raise ValueError(
            "Results must be of the groups training_step and scaling, with adam and "
            f"sam. Received: groups={sorted(set(rows['group']))}, "
            f"optimizers={sorted(set(steps['optimizer']))}"
        )
    rules = [name for name in RULES if name in set(steps["optimizer"])]
    started = ["adam", "sam", *rules]
    parts = _by_backend(steps)
    return _template().render(
        results=results,
        measured=set(steps["case"]),
        state=steps.groupby("optimizer")["state_per_parameter"].max(),
        ratios={name: _table(part, "ratio") for name, part in parts.items()},
        starts={
            name: _table(part, "start_ms").reindex(started)
            for name, part in parts.items()
        },
        alone=_by_size(alone, "ns_per_parameter"),
        memory=memory,
        peaks=_by_size(_measured(memory, "memory"), "peak_bytes_per_parameter"),
        dearer=dearer,
        versions=[f"{BACKENDS[name]} {results['versions'][name]}" for name in parts],
        **{"rules": rules, "started": started, "groups": GROUPS},
        **{"backends": BACKENDS, "networks": NETWORKS, "optimizers": OPTIMIZERS},
    )


def _template():
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        **{"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True},
    )
    filters = (_number, _span, _start, _listing, _titles)
    environment.filters |= {f.__name__.removeprefix("_"): f for f in filters}
    return environment.get_template("costs.md.j2")


def dearer(ratios, rule):
    """Returns the networks on which a rule is dearer than SAM around Adam.

    Args:
        ratios: A data frame of optimizers and networks.
        rule: Name of a row.
    """
    return [name for name in ratios if ratios.at[rule, name] > ratios.at["sam", name]]


def _by_backend(rows):
    """Returns a dict of backends and their rows, in the order of `BACKENDS`."""
    groups = dict(list(rows.groupby("backend")))
    return {name: groups[name] for name in BACKENDS if name in groups}


def _table(rows, values):
    """Returns a frame of optimizers and networks, in their order here."""
    frame = rows.pivot(index="optimizer", columns="case", values=values)
    return frame.reindex(
        index=[name for name in OPTIMIZERS if name in frame.index],
        columns=[name for name in NETWORKS if name in frame],
    )


def _measured(results, group):
    """Returns the rows of a group without failures, a frame."""
    rows = pd.DataFrame(results["rows"])
    return rows[rows["group"] == group].dropna(subset="optimizer")


def _by_size(rows, values):
    """Returns a frame of optimizers, and of backends and numbers of parameters."""
    frame = rows.assign(size=[row["num_params"] for row in rows["arguments"]]).pivot(
        index="optimizer", columns=["backend", "size"], values=values
    )
    names = [name for name in OPTIMIZERS if name in frame.index]
    return frame.reindex(index=names).sort_index(axis=1, key=_order)


def _order(level):
    return level.map(list(BACKENDS).index) if level.name == "backend" else level


def _number(value, digits=2):
    """Returns the number as text, a dash if it is missing."""
    return "–" if pd.isna(value) else f"{value:.{digits}f}"


def _start(value, adam):
    """Returns milliseconds as seconds, and the difference to Adam: "2.34 (+1.11)"."""
    more = "" if pd.isna(value) or value == adam else f" ({(value - adam) / 1e3:+.2f})"
    return _number(value / 1e3) + more


def _span(tables, optimizers, networks):
    """Returns the range of some cells of all backends, such as "1.06 to 1.37"."""
    cells = pd.concat(
        table.reindex(index=optimizers, columns=networks).stack() for table in tables
    )
    return f"{_number(cells.min())} to {_number(cells.max())}"


def _listing(names):
    """Returns names as text, such as "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), *names[-1:]] if names[1:] else names)


def _titles(names):
    return [NETWORKS[name] for name in names]

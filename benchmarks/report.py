"""The benchmarks' results as tables."""

import pandas as pd


def tables(results):
    """Returns the results as text, a table for each group.

    Args:
        results: What `collect` yields.
    """
    titles = ("before", "after")
    yardsticks = pd.DataFrame(results["yardsticks"])
    parts = [_text(yardsticks.assign(when=titles[: len(yardsticks)]), "when")]
    rows = pd.DataFrame(results["rows"])
    for name, group in rows.groupby("group", sort=False):
        parts.append(f"{name}\n{_text(group.drop(columns='group'), 'case')}")
    return "\n\n".join(parts)


def _text(frame, index):
    frame = frame.drop(columns=["arguments", "start_mib"], errors="ignore")
    frame = frame.dropna(axis=1, how="all").set_index(index)
    return frame.to_string(float_format="{:.4g}".format, na_rep="", index_names=False)

"""The study: the paper's claims tested on a grid of runs, and its report."""

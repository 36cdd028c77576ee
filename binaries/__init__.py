"""Command-line programs of lrlearn, run from a checkout: flags to library calls."""

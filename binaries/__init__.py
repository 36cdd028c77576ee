"""Command-line programs of lrlearn: flags to library calls."""

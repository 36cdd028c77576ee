"""Experiments: meta-training, evaluation and plots put together."""

from paper.main_job import MainJob, Results, run

__all__ = ["MainJob", "Results", "run"]

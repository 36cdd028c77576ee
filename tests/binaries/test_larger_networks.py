"""`larger_networks` trains two networks by presets and other optimizers."""

import keras
import numpy as np
import pandas as pd
import pytest

PROGRAM = "paper.checks.larger_networks"


def test_help(check_help):
    check_help()


def test_names_are_checked(run):
    assert "--networks must be of resnet20, " in run("--networks=vgg").err
    assert "--optimizers must be of adam, " in run("--optimizers=sgd").err


@pytest.mark.parametrize("name", ["adam", "adamw_cosine", "lo_sam"])
def test_optimizers(program, name):
    optimizer = program._MAKE[name]()
    assert isinstance(optimizer, keras.optimizers.Optimizer) and not optimizer.built


def test_summary_compares_at_the_same_time(program):
    """Adam's four seconds are halfway between the other's records at two and six."""
    frame = pd.DataFrame(
        [
            ("a", "adam", 10, 2.0, 0.9),
            ("a", "adam", 20, 4.0, 0.5),
            ("a", "sam", 10, 2.0, 0.8),
            ("a", "sam", 20, 6.0, 0.4),
            ("b", "sam", 20, 6.0, 0.4),
        ],
        columns=["network", "optimizer", "step", "cpu_seconds", "test_loss"],
    ).assign(test_accuracy=0.25)
    table = program.summary(frame)
    assert table["cpu_ms_a_step"].tolist() == [200.0, 300.0, 300.0]
    np.testing.assert_allclose(
        table["in_time_of_adam_test_loss"], [0.5, 0.6, np.nan], rtol=1e-12
    )


@pytest.mark.slow
def test_it_goes_on_where_it_stopped(run, tmp_path):
    """SAM costs about two gradients a step."""
    arguments = ["--networks=transformer", f"--output={tmp_path}", "--steps=10"]
    assert run(*arguments, "--optimizers=adamw_cosine").code == 0
    first = pd.read_csv(tmp_path / "larger_networks.csv")
    assert run(*arguments, "--optimizers=adamw_cosine,sam").code == 0
    both = pd.read_csv(tmp_path / "larger_networks.csv")
    pd.testing.assert_frame_equal(both.iloc[: len(first)], first)
    assert both["step"].tolist() == 2 * [*range(1, 11)]
    assert np.isfinite(both["validation_loss"]).all()
    one, two = both.groupby("optimizer", sort=False)["cpu_seconds"].last()
    assert 1.3 * one < two < 4 * one
    line = run(*arguments[:2], "--steps=20", "--optimizers=adam").code
    assert "--steps must be those of the runs that are there" in line

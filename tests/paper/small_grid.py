"""A grid that runs in a minute, with all kinds of optimizers and measures."""

from paper.grid.grid import Grid, Measures, MetaTraining

SMALL = Grid(
    "small",
    datasets=("digits",),
    networks=("mlp", "cnn"),
    regimes=("small",),
    horizons=(("*", (40,)),),
    optimizers=("SGD-M", "Adam", "SAM", "late SAM", "MLP none", "MLP SAM"),
    meta_seeds=2,
    seeds=2,
    tuning_seeds=1,
    meta_training=MetaTraining(
        "digits",
        "digits",
        tasks=1,
        steps=2,
        settings=(
            ("horizon", (20, 40)),
            ("optimizees_per_task", 1),
            ("unroll", 10),
            ("validation_every", 2),
            ("validation_optimizees", 1),
            ("validation_steps", 20),
        ),
    ),
    measures=Measures(
        records=4,
        sharpness_at=(("*", (0.25, 1.0)),),
        sharpness_examples=(("*", 128),),
        ascent_steps=(("*", 3),),
        eigenvalue_examples=(("*", 128),),
        eigenvalue_iterations=5,
        landscape_points=(("*/cnn", 0), ("*", 5)),
    ),
)

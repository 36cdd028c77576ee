"""How the update rules of a grid are meta-trained."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class MetaRecipe:
    """How update rules are meta-trained.

    Attributes:
        dataset: Data set.
        networks: Networks.
        regime: Name of the regime.
        steps: Meta-steps.
        horizon: Least and most steps of an optimizee.
        validation_steps: Steps of an optimizee in meta-validation.
        coordinates: Coordinates of an optimizee that are replayed.
        lstm_units: Units of the LSTM's layers.
        lstm_rate: Meta-learning rate of the LSTM rule.
        mlp_rate: Meta-learning rate of the MLP rule.
        final_rate: Where the meta-learning rate ends, as a fraction of the first.
        lstm_validations: Times that an LSTM is validated.
        mlp_validations: Times that an MLP rule is validated.
        unroll: Steps of an optimizee between two meta-updates.
        initializations: Optimizees of each network in a meta-step.
        initial_scale: Least and largest factor of their initial weights.
        clipnorm: Largest norm of a meta-gradient.
    """

    dataset: str = "mnist"
    networks: tuple = ("mlp", "mlp_relu", "mlp_tanh")
    regime: str = "small"
    steps: int = 200
    horizon: tuple = (100, 1000)
    validation_steps: int = 1000
    coordinates: int = 2000
    lstm_units: tuple = (10, 10)
    lstm_rate: float = 5e-3
    mlp_rate: float = 2e-3
    final_rate: float = 0.02
    lstm_validations: int = 4
    mlp_validations: int = 8
    unroll: int = 20
    initializations: int = 2
    initial_scale: tuple = (0.5, 2.0)
    clipnorm: float = 1.0

    def rate(self, rule):
        """Returns the first meta-learning rate of `"LSTM"` or `"MLP"`."""
        return self.lstm_rate if rule == "LSTM" else self.mlp_rate

    def validations(self, rule):
        """Returns how often `"LSTM"` or `"MLP"` is validated."""
        return self.lstm_validations if rule == "LSTM" else self.mlp_validations

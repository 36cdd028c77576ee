"""A learned update rule as a Keras optimizer."""

import numbers
import warnings

import keras
import numpy as np
from keras import ops

from lrlearn.checks import check_non_negative
from lrlearn.optimizers import backends, presets
from lrlearn.optimizers.flat_state import FlatState
from lrlearn.optimizers.fused_optimizer import FusedOptimizer
from lrlearn.optimizers.l1 import L1
from lrlearn.optimizers.rule_weights import RuleWeights
from lrlearn.optimizers.run_inputs import RunInput, RunInputs
from lrlearn.rules import UpdateRule


class _Presets:
    """Class attribute, read anew each time."""

    def __get__(self, instance, owner=None):
        return presets.describe()


@keras.saving.register_keras_serializable(package="lrlearn")
class LearnedOptimizer(FusedOptimizer):
    r"""Optimizer whose update rule was learned.

    Scale your inputs, for example images to [0, 1]. The presets were meta-trained on
    such inputs.

    Each coordinate $w$ with gradient $g$ and state $h$ is updated by

    $$d, h \leftarrow \mathrm{rule}_\theta(g, w, h), \qquad
      w \leftarrow w + \eta\,d.$$

    The weights $\theta$ are among the optimizer's variables, so they are in `.keras`
    files. State is float32 whatever the model's dtype.

    Args:
        rule: An `lrlearn.rules.UpdateRule`.
        theta: The rule's weights, a dict of names to arrays. Without them the
            optimizer is untrained: it can be saved, loaded and given weights, but
            not used. Defaults to `None`.
        learning_rate: A float, a schedule or a callable: $\eta$, a multiplier of the
            learned step. Defaults to `1.0`.
        total_steps: Number of steps of the whole run, for a rule with a learned
            schedule; the callback `lrlearn.RunLength` sets it in `fit`. Without it
            half of the run is always still to come, so steps never decay to zero; past
            it, they stay as small as at its end. Defaults to `None`, not known.
        epochs: Number of passes over the training examples in the whole run, for such
            a rule; `RunLength` sets it, too. Defaults to `None`, not known.
        rho: How flat a minimum to look for, for a rule with a dial: the radius of a
            ball divided by the norm of the parameters. Defaults to `None`: the rule's
            own default.
        jit_compile: Whether XLA compiles the update, under TensorFlow also in a model
            that it does not compile; PyTorch has none. Defaults to `None`: if that
            pays, as it does for the MLP rules on dense networks.
        guard: Whether the rule's step, before the learning rate multiplies it, is
            limited to a small share of a matrix's weights. Without it the weights of
            networks unlike those of meta-training may grow without limit. Defaults to
            `False`, the rule itself; `from_preset` has it on.
        l1: Strength of an L1 penalty, `l1` times the sum of magnitudes, on kernels and
            embeddings: all variables of at least two axes but those named as a bias.
            Unlike a `kernel_regularizer` it sets weights to exactly 0, and is not in
            the loss that Keras reports; see `lrlearn.optimizers.l1`. Defaults to
            `0.0`.
        name: Name of the optimizer. Defaults to `"learned_optimizer"`.
        **kwargs: Any other argument of `keras.optimizers.Optimizer`: `weight_decay`
            (multiplied by the learning rate), `clipnorm`, `clipvalue`,
            `global_clipnorm`, `use_ema`, `ema_momentum`, `ema_overwrite_frequency`,
            `loss_scale_factor`, `gradient_accumulation_steps`.

    Attributes:
        presets: A dict of the names of presets, the built-in ones and those in
            `$LRLEARN_HOME`, to their descriptions and metadata.
        rule: The update rule.

    `total_steps`, `epochs` and `rho` are attributes, too, and may change at any time.

    Raises:
        ValueError: If `theta` does not fit the rule or is not finite, the rule does
            not run on the Keras backend or has no input of that name, or `jit_compile`,
            `guard` or `l1` is none of these.

    Example:
        >>> import keras
        >>> import lrlearn
        >>> rule = lrlearn.rules.CoordinatewiseLSTM(units=(20, 20))
        >>> theta = rule.init_theta(seed=0)  # better: MetaTrainer(...).theta
        >>> optimizer = lrlearn.LearnedOptimizer(rule, theta)
        >>> w = keras.Variable([1.0, 2.0])
        >>> optimizer.apply([keras.ops.convert_to_tensor([0.1, -0.1])], [w])
        >>> int(optimizer.iterations)
        1
    """

    presets = _Presets()

    total_steps = RunInput()
    epochs = RunInput()
    rho = RunInput()

    def __init__(
        self,
        rule,
        theta=None,
        learning_rate=1.0,
        total_steps=None,
        epochs=None,
        rho=None,
        jit_compile=None,
        guard=False,
        l1=0.0,
        name="learned_optimizer",
        **kwargs,
    ):
        if not isinstance(rule, UpdateRule):
            hint = f"; use LearnedOptimizer.from_preset({rule!r})"
            raise ValueError(
                f"`rule` must be an lrlearn.rules.UpdateRule. Received: {rule=}"
                f"{hint if isinstance(rule, str) else ''}"
            )
        if jit_compile not in (None, True, False):
            raise ValueError(
                "`jit_compile` must be True, False or None. Received: "
                f"jit_compile={jit_compile!r}"
            )
        if guard not in (True, False):
            raise ValueError(f"`guard` must be True or False. Received: {guard=}")
        l1 = check_non_negative("l1", l1)
        rule.check_backend()
        if isinstance(learning_rate, numbers.Real):
            learning_rate = float(learning_rate)
        super().__init__(learning_rate=learning_rate, name=name, **kwargs)
        self.rule, self.jit_compile, self.guard = rule, jit_compile, bool(guard)
        self.l1 = l1
        told = {"total_steps": total_steps, "epochs": epochs, "rho": rho}
        self._run_inputs = RunInputs(rule, self.add_variable, told)
        self._theta = RuleWeights(rule, self.add_variable, len(self.variables))
        if theta is not None:
            self.theta = theta

    @classmethod
    def from_preset(cls, preset, guard=True, **kwargs):
        """Returns an optimizer with the rule and the weights of a preset.

        `compile` also takes the name of a built-in preset, as it takes `"adam"`.

        Args:
            preset: A name in `LearnedOptimizer.presets`, a directory, or the URL of a
                zip file that ends with `#sha256=` and the file's hash; see
                `lrlearn.optimizers.presets`, also on how to publish one.
            guard: See `LearnedOptimizer`. Defaults to `True`.
            **kwargs: Arguments of the constructor, such as `learning_rate`.

        Raises:
            ValueError: If there is no such preset or it cannot be read.

        Example:
            >>> import lrlearn
            >>> optimizer = lrlearn.LearnedOptimizer.from_preset("lo_sam")
            >>> type(optimizer.rule).__name__
            'ScheduledMLP'
        """
        rule, theta, _ = presets.load_preset(preset)
        return cls(rule, theta, guard=guard, **kwargs)

    def save_to_preset(self, directory, **metadata):
        """Writes rule and weights, and a model card, as a preset; see `from_preset`.

        After meta-training, `MetaTrainer.save_to_preset` also writes the recipe.

        Args:
            directory: Path of the preset; one that is already there is replaced.
            **metadata: What the card is written from, as JSON types, such as
                `description` and `licence`.

        Raises:
            ValueError: If the optimizer is untrained.
        """
        self._check_trained()
        presets.save_preset(directory, self.rule, self.theta, metadata)

    @property
    def theta(self):
        """The rule's weights, a dict of NumPy arrays; `None` while untrained."""
        return self._theta.numpy() if self._theta.are_set() else None

    @theta.setter
    def theta(self, theta):
        self._theta.assign(theta)

    def build(self, variables):
        """Makes the rule's state for all of the model's variables together."""
        if self.built:
            return
        super().build(variables)
        self._penalty = L1(self.l1, variables)
        shapes = [variable.shape for variable in variables]
        with backends.beside(variables):
            self._state = FlatState(
                self.rule, shapes, self.add_variable, self.jit_compile, self.guard
            )

    def apply(self, grads, trainable_variables=None):
        """Updates the variables; see `keras.optimizers.Optimizer.apply`.

        Raises:
            ValueError: If the optimizer is untrained.
        """
        self._check_trained()
        super().apply(grads, trainable_variables)

    def _updates(self, gradients, values):
        """See `FusedOptimizer`."""
        return self._state.update(
            self._theta.tensors(),
            self._penalty.subgradients(gradients, values),
            values,
            self.iterations + 1,
            self._run_inputs.run(),
            self.assign,
        )

    def _limit(self, index, d, gradient, value):
        """See `FusedOptimizer`."""
        return self._penalty.limit(index, d, gradient, value)

    def set_weights(self, weights):
        """Sets all the optimizer's variables; see `keras.optimizers.Optimizer`.

        Raises:
            ValueError: If they do not fit; none is then set.
        """
        if not self.built:
            super().set_weights(weights)  # raises
        misfit = self._load([ops.convert_to_numpy(weight) for weight in weights])
        if misfit:
            raise ValueError(f"`weights` must fit {self.name!r}: {misfit}")

    def load_own_variables(self, store):
        """Sets all the optimizer's variables from a file; warns if it does not fit."""
        keys = store.keys()
        names = map(str, range(len(keys)))
        values = [np.asarray(store[n]) if n in keys else None for n in names]
        misfit = self._load(values)
        if misfit:
            message = f"Skipping variable loading for optimizer '{self.name}', because "
            warnings.warn(message + misfit, stacklevel=2)

    def _load(self, values):
        in_use = bool(self._trainable_variables)
        return self._theta.load_all(values, self.variables, in_use)

    def get_config(self):
        """Returns the configuration, with the name of the built-in preset if any."""
        return {
            **super().get_config(),
            **self._run_inputs.get_config(),
            "jit_compile": self.jit_compile,
            "guard": self.guard,
            "l1": self.l1,
            "rule": keras.saving.serialize_keras_object(self.rule),
            "preset": presets.name_of(self.rule, self._theta.numpy()),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """Returns the optimizer of a `get_config` dict, with its preset's weights."""
        config = dict(config)
        preset = config.pop("preset", None)
        if "rule" not in config:
            raise ValueError(
                "The config of a LearnedOptimizer must have a `rule`; by name take "
                f"LearnedOptimizer.from_preset. Received: {config=}"
            )
        config["rule"] = keras.saving.deserialize_keras_object(
            config["rule"], custom_objects=custom_objects
        )
        optimizer = super().from_config(config, custom_objects)
        # A preset that this version lacks is no error: a file may bring the weights.
        theta = presets.theta_of(preset, optimizer.rule)
        if theta is not None:
            optimizer.theta = theta
        return optimizer

    def _check_trained(self):
        if not self._theta.are_set():
            raise ValueError(
                f"{self.name!r} is untrained: `theta` must be given before it is used. "
                "Take a preset (LearnedOptimizer.from_preset), pass `theta`, or load "
                "weights. Received: theta=None"
            )

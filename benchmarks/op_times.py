r"""Where the time of a meta-step goes, operation by operation, on one core.

    python -m benchmarks.op_times --rule=lstm_2x20 --estimator=replay
    python -m benchmarks.op_times --rule=lstm_2x20 --estimator=replay --coordinates=1591

Prints how often each kind of TensorFlow operation ran in one meta-step, and its time
in milliseconds. The profiler itself slows small operations down.
"""

import collections
import pathlib
import tempfile

import pandas as pd
import tensorflow as tf
from absl import flags
from tensorflow.tsl.profiler.protobuf import xplane_pb2

from benchmarks import machine, subjects
from benchmarks.groups import meta_step
from binaries import cli

_RULE = flags.DEFINE_enum("rule", "lstm_2x20", subjects.rules(), "The rule.")
_ESTIMATOR = flags.DEFINE_enum(
    "estimator", "replay", subjects.estimators(), "The estimator."
)
_COORDINATES = flags.DEFINE_integer("coordinates", None, "Coordinates in a replay.")
_TOP = flags.DEFINE_integer("top", 15, "Number of operations to print.")
_CORE = flags.DEFINE_integer("core", 0, "Core to run on.", lower_bound=0)

_STEPS = 5


def main():
    """Profiles by the flags."""
    if _COORDINATES.value is not None and _ESTIMATOR.value != "replay":
        raise ValueError(
            "--coordinates needs --estimator=replay. Received: "
            f"--estimator={_ESTIMATOR.value}"
        )
    machine.pin(_CORE.value)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    trainer = meta_step.trainer(_RULE.value, _ESTIMATOR.value, _COORDINATES.value)
    with tempfile.TemporaryDirectory() as folder:
        options = tf.profiler.experimental.ProfilerOptions(host_tracer_level=3)
        with tf.profiler.experimental.Profile(folder, options):
            for _ in range(_STEPS):
                meta_step.take_step(trainer)
        print(_table(folder).head(_TOP.value).round(2).to_string())


def _table(folder):
    """Returns the operations by falling time, from the profiler's files."""
    times, counts = collections.Counter(), collections.Counter()
    for path in pathlib.Path(folder).rglob("*.xplane.pb"):
        space = xplane_pb2.XSpace.FromString(path.read_bytes())
        for plane in space.planes:
            for event in (e for line in plane.lines for e in line.events):
                # "<node>:<operation>"; other events have no such name.
                name = plane.event_metadata[event.metadata_id].name
                node, colon, operation = name.rpartition(":")
                if (
                    colon
                    and not node.endswith(":")
                    and operation.strip().isidentifier()
                ):
                    times[operation] += event.duration_ps * 1e-9 / _STEPS
                    counts[operation] += 1 / _STEPS
    table = pd.DataFrame({"ms": times, "count": counts})
    return table.sort_values("ms", ascending=False)


if __name__ == "__main__":
    cli.run(main)

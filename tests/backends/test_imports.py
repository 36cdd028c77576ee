"""What is imported under each backend, and what is refused."""

import json

import pytest

from tests import processes


@pytest.mark.backends
@pytest.mark.parametrize("backend", processes.BACKENDS)
def test_imports(backend):
    """No large package but Keras's; one clear line where TensorFlow is needed."""
    output = processes.run("tests.backends.run_imports", KERAS_BACKEND=backend)
    by_keras, by_lrlearn, answers = json.loads(output.splitlines()[-1])
    assert by_lrlearn == by_keras and backend in by_keras
    if backend == "tensorflow":
        assert not answers
    else:
        assert len(answers) == 5
        assert set(answers.values()) == {
            "Meta-training, tasks, evaluation and plots need the TensorFlow backend. "
            f"Received: KERAS_BACKEND={backend}"
        }

import numpy as np
import pytest
import tensorflow as tf

from lrlearn import stacking


def _element(element):
    """What it returns has another structure, and other types, than its argument."""
    w, (n,) = element["w"], element["more"]
    return [tf.reduce_sum(w * w, axis=1), {"twice": 2 * n}], w[0, 0] > 0


@pytest.fixture
def elements():
    rng = np.random.default_rng(0)
    w = rng.standard_normal((4, 3, 2)).astype("float32")
    return {"w": w, "more": (np.arange(4, dtype="int32"),)}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("sequential", [False, True])
def test_maps_any_structure(elements, sequential, compiled):
    """Against NumPy; types and structure are those that `fn` returns."""

    def stacked(elements):
        return stacking.map_stacked(_element, elements, sequential)

    if compiled:
        stacked = tf.function(stacked, autograph=False)
    elements = tf.nest.map_structure(tf.constant, elements)
    (squares, numbers), positive = stacked(elements)
    w = elements["w"].numpy()
    np.testing.assert_allclose(squares, (w**2).sum(2), rtol=1e-6)
    assert numbers["twice"].numpy().tolist() == [0, 2, 4, 6]
    assert numbers["twice"].dtype == tf.int32
    assert positive.numpy().tolist() == (w[:, 0, 0] > 0).tolist()


@pytest.mark.parametrize("sequential", [False, True])
def test_maps_within_a_map(sequential):
    """The inner function sees what is stacked outside."""
    rows, columns = tf.constant([1.0, 2.0]), tf.constant([3.0, 4.0, 5.0])
    table = stacking.map_stacked(
        lambda r: stacking.map_stacked(lambda c: r * c, columns, sequential),
        rows,
        sequential,
    )
    assert table.numpy().tolist() == [[3, 4, 5], [6, 8, 10]]


def test_products_with_shared_data_become_one():
    """That is what makes stacked networks cheap."""
    x = tf.ones([5, 3])

    @tf.function(autograph=False)
    def products(w):
        return stacking.map_stacked(lambda w: tf.matmul(x, w), w)

    graph = products.get_concrete_function(tf.TensorSpec([4, 3, 2])).graph
    (output,) = graph.outputs
    assert _last_product(output.op).outputs[0].shape.as_list() == [5, 4 * 2]


def _last_product(op):
    while op.type != "MatMul":
        op = op.inputs[0].op
    return op


def test_only_convolutions_are_sequential():
    """By the rank of one network's weights."""
    dense, convolution = (3, 4), (3, 3, 1, 4)
    assert not stacking.is_sequential([dense, (4,)])
    assert stacking.is_sequential([dense, convolution])
    assert stacking.is_sequential([dense], ["the seed of dropout"])

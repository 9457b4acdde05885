"""Nets whose exits share computation: training, steps, cascades, costs, errors."""

import copy
import itertools
import pickle
import weakref
from collections import Counter
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import Checkpoint, EarlyStopping, LRScheduler
from skorch.helper import predefined_split
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.flop_counter import FlopCounterMode

from skcascade import EXIT, CascadeClassifier, Trace, walk
from skcascade.checks import check_member
from skcascade.costs import LatencyCost, MacsCost
from skcascade.evidence import CachedState, Live, Stages
from skcascade.members import EarlyExitNetClassifier
from skcascade.members._adapters import adapt, freeze
from skcascade.nets import MLP, CascadedResNet, EarlyExitNet
from skcascade.policies import BaseExitPolicy
from skcascade.utils._skorch import TensorRows

X, Y = make_classification(120, 6, n_informative=4, n_classes=3, random_state=0)
X = X.astype(np.float32)
NAMES = np.array(["ant", "bee", "cat"])[Y]
IMAGES = np.random.default_rng(0).standard_normal((12, 3, 8, 8)).astype(np.float32)


class SmallNet(EarlyExitNet):
    """Four exits; batch norm in the trunk and in the heads."""

    def __init__(self, n_features, n_classes, width=8, n_exits=4):
        widths = [n_features] + [width] * n_exits
        blocks = [
            nn.Sequential(nn.Linear(a, b), nn.BatchNorm1d(b), nn.ReLU())
            for a, b in itertools.pairwise(widths)
        ]
        heads = [nn.Sequential(nn.BatchNorm1d(width), nn.Linear(width, n_classes)) for _ in blocks]
        super().__init__(blocks, heads)


class Pair(NamedTuple):
    wide: torch.Tensor
    rest: dict


class NestedNet(SmallNet):
    """The hidden state is a named tuple of a tensor and a dict with a list."""

    def advance(self, exit, hidden):
        x = hidden if exit == 0 else hidden.wide + hidden.rest["extra"][0].mean()
        x = self.blocks[exit](x)
        # The mean would mix rows; it is zero.
        return Pair(x, {"extra": [torch.zeros(len(x), 2)]})

    def answer(self, exit, hidden):
        return self.exits[exit](hidden.wide)


class Follow(BaseExitPolicy):
    """Sends row i of each block along `routes[i]`."""

    def __init__(self, routes):
        self.routes = routes

    def route(self, stage, proba):
        return np.array([(w[w.index(stage) + 1 :] + [EXIT])[0] for w in self.routes if stage in w])


def quick(module=SmallNet, **params):
    return EarlyExitNetClassifier(module, **{"max_epochs": 2, "batch_size": 32, **params})


def fitted(module=SmallNet, **params):
    torch.manual_seed(0)
    return quick(module, **params).fit(X, Y)


NET = fitted()
NESTED = fitted(NestedNet)


def stages_of(net):
    return Stages([("net", adapt(net))], range(3))


@contextmanager
def counted(module):
    """Rows that each block and each exit of `module` runs on."""
    rows = Counter()
    hooks = [
        part.register_forward_hook(lambda part, x, y, key=(kind, k): rows.update({key: len(y)}))
        for kind in ("blocks", "exits")
        for k, part in enumerate(getattr(module, kind))
    ]
    yield rows
    for hook in hooks:
        hook.remove()


def full_pass(net, X):
    """Probabilities of all exits, of shape (n, n_exits, n_classes)."""
    with torch.no_grad():
        logits = net.module_.eval()(torch.as_tensor(X))
    return torch.softmax(torch.stack(logits, 1), 2).numpy()


# The base ---------------------------------------------------------------------------------


# Steps ------------------------------------------------------------------------------------


@pytest.mark.parametrize("net", [NET, NESTED], ids=["tensor", "nested"])
def test_steps_are_the_full_pass(net):
    expected = full_pass(net, X)
    index = np.array([3, 50, 4, 119])
    for exit in range(4):
        proba, state = net.step(exit, X, None)
        assert (proba.dtype, proba.shape) == (np.float32, (120, 3))
        np.testing.assert_allclose(proba, expected[:, exit], atol=1e-6)
        assert (state is None) == (exit == 3)
        for later in range(exit + 1, 4):
            cached = CachedState(exit, state[index])
            np.testing.assert_allclose(
                net.step(later, X[index], cached)[0], expected[index, later], atol=1e-6
            )
    np.testing.assert_allclose(net.predict_proba(X), expected[:, -1], atol=1e-6)


def test_steps_in_small_blocks(monkeypatch):
    expected = full_pass(NET, X)
    monkeypatch.setattr("skcascade.members._early_exit._BLOCK_VALUES", 6 * 20)
    state = NET.step(1, X, None)[1]
    assert len(state.parts) == 6
    np.testing.assert_allclose(NET.step(3, X, CachedState(1, state))[0], expected[:, 3], atol=1e-6)
    index = np.arange(1, 120, 3)
    cached = CachedState(1, state[index][slice(2, None)])
    np.testing.assert_allclose(NET.step(3, X, cached)[0], expected[index[2:], 3], atol=1e-6)


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_walk_runs_each_block_once_and_equals_the_full_pass(data):
    """Whatever stages each row visits; skipped heads are not run."""
    routes = data.draw(st.lists(st.sets(st.integers(0, 3)), min_size=1, max_size=12))
    routes = [sorted({0, *route}) for route in routes]
    net = data.draw(st.sampled_from([NET, NESTED]))
    rows = X[: len(routes)]
    with counted(net.module_) as ran:
        result = walk(Live(stages_of(net), rows), Follow(routes))
    expected = full_pass(net, rows)
    exits = [route[-1] for route in routes]
    np.testing.assert_array_equal(result.exit, exits)
    np.testing.assert_allclose(result.proba, expected[np.arange(len(routes)), exits], atol=1e-6)
    for k in range(4):
        assert ran["blocks", k] == sum(exit >= k for exit in exits)
        assert ran["exits", k] == sum(k in route for route in routes)


@given(st.lists(st.sets(st.integers(0, 3)), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None)
def test_macs_of_a_walk_are_the_sum_of_its_edges(routes):
    stages, routes = stages_of(NET), [sorted({0, *route}) for route in routes]
    rows = X[: len(routes)]
    cost = MacsCost().fit(stages, X[:8])
    with FlopCounterMode(display=False) as counter:
        result = walk(Live(stages, rows), Follow(routes))
    assert counter.get_total_flops() / 2 == cost.path_cost(result.visited).sum()


def test_edges_cost_the_trunk_and_one_head():
    edges = MacsCost().fit(stages_of(NET), X[:8]).edge_costs_
    head, first, block = 8 * 3, 6 * 8, 8 * 8
    for k in range(4):
        assert edges[0, k] == first + k * block + head
        for j in range(k):
            assert edges[j + 1, k] == (k - j) * block + head
    assert np.nanmin(LatencyCost(n_repeats=1, sizes=(1, 4)).fit(stages_of(NET), X).slope_) >= 0


def test_states_are_freed():
    states = {}

    class Spy:
        n_exits, labels = NET.n_exits, None

        def step(self, exit, X, cached):
            proba, state = NET.step(exit, X, cached)
            states[len(states)] = exit, None if state is None else weakref.ref(state)
            return proba, state

    def alive():
        return [exit for exit, state in states.values() if state is not None and state()]

    live = Live(Stages([("net", Spy()), ("more", Spy())], range(3)), X)
    rows = np.arange(120)
    live.observe(0, rows)
    assert alive() == [0]
    live.observe(1, rows)
    assert alive() == [1]  # all rows have continued from exit 0
    live.observe(3, rows[::2])
    assert alive() == [1]
    live.observe(4, rows[1::2])  # another member
    assert len(states) == 4
    assert [state() is None for _, state in states.values() if state] == [True, True, False]


def test_blocks_bound_what_is_cached(monkeypatch):
    monkeypatch.setattr("skcascade.members._early_exit._CACHED_BYTES", 3 * 8 * 4 * 10)
    net = fitted(max_epochs=1)
    assert net.block_rows == 10  # three states of 8 float32
    stages, sizes = stages_of(net), []
    hook = net.module_.blocks[0].register_forward_hook(lambda m, x, y: sizes.append(len(y)))
    walk(Live(stages, X), Follow([[0, 3]] * 10))
    assert set(sizes) == {10}
    Trace.record(stages, X)
    assert set(sizes) == {10}
    hook.remove()


# Training ---------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [None, [0.5, 0, 2, 1]])
def test_joint_loss_by_hand(weights):
    net = fitted(exit_weights=weights)
    logits = net.module_.eval()(torch.from_numpy(X))
    losses = [nn.functional.cross_entropy(part, torch.from_numpy(Y)) for part in logits]
    expected = sum(w * loss for w, loss in zip(weights or [1] * 4, losses))
    loss = net.get_loss(net.infer(torch.from_numpy(X)), torch.from_numpy(Y))
    torch.testing.assert_close(loss, expected)


def test_joint_step_by_hand():
    """One step of plain SGD moves the weights along the gradient of the summed loss."""
    torch.manual_seed(0)
    module = SmallNet(6, 3)
    before = copy.deepcopy(module).train()
    net = quick(
        module, max_epochs=1, batch_size=-1, optimizer=torch.optim.SGD, lr=0.1, train_split=None
    ).fit(X, Y)
    logits = before(torch.from_numpy(X))
    sum(nn.functional.cross_entropy(part, torch.from_numpy(Y)) for part in logits).backward()
    for old, new in zip(before.parameters(), net.module_.parameters()):
        torch.testing.assert_close(new, old - 0.1 * old.grad, atol=1e-5, rtol=1e-4)


def test_it_learns_either_way():
    for training in ("joint", "backtrack"):
        net = fitted(training=training, max_epochs=30, lr=0.01, train_split=None)
        for exit in range(4):
            assert (net.step(exit, X, None)[0].argmax(1) == Y).mean() > 0.65


# What skorch does ---------------------------------------------------------------------------


@pytest.mark.parametrize("training", ["joint", "backtrack"])
def test_callbacks(training, tmp_path):
    stopping = EarlyStopping(patience=2, load_best=True)
    checkpoint = Checkpoint(dirname=tmp_path, load_best=True)
    schedule = LRScheduler(OneCycleLR, max_lr=0.01, total_steps=3 * 40, step_every="batch")
    callbacks = [("schedule", schedule), ("checkpoint", checkpoint), ("stopping", stopping)]
    net = fitted(max_epochs=30, lr=0.3, training=training, callbacks=callbacks)
    assert len(net.history) < (30 if training == "joint" else 120)
    assert {"train_loss", "valid_loss", "valid_acc"} <= set(net.history[-1])
    assert {"EarlyStopping", "Checkpoint"} <= {type(c).__name__ for _, c in net.callbacks_}


def test_the_prediction_is_that_of_the_last_exit():
    valid = TensorRows(torch.from_numpy(X), torch.from_numpy(Y))
    net = fitted(train_split=predefined_split(valid))
    expected = full_pass(net, X)[:, -1]
    np.testing.assert_allclose(net.predict_proba(X), expected, atol=1e-6)
    np.testing.assert_array_equal(net.predict(X), expected.argmax(1))
    assert net.score(X, Y) == net.history[-1, "valid_acc"] == (expected.argmax(1) == Y).mean()
    assert [part.shape for part in net.forward(X)] == [(120, 3)] * 4
    from_data_set = net.predict_proba(TensorRows(torch.from_numpy(X), torch.from_numpy(Y)))
    np.testing.assert_allclose(from_data_set, expected, atol=1e-6)


def test_parameters_clone_and_pickle():
    net = quick(exit_weights=[1, 2, 3, 4], module__width=5)
    assert clone(net).get_params()["exit_weights"] == [1, 2, 3, 4]
    assert "SmallNet" in repr(net)
    net.fit(X, Y)
    assert net.module_.blocks[1][0].weight.shape == (5, 5)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        np.testing.assert_array_equal(other.predict_proba(X), net.predict_proba(X))
        assert other.block_rows == net.block_rows
    net.set_params(module__width=7, verbose=0)
    assert net.module_.blocks[1][0].weight.shape == (7, 7)
    assert not hasattr(clone(net), "n_exits")


def test_partial_fit_continues():
    torch.manual_seed(0)
    net = quick(classes=[0, 1, 2])
    net.partial_fit(X[Y < 2], Y[Y < 2])
    before = net.module_
    net.partial_fit(X, Y)
    assert net.module_ is before
    assert len(net.history) == 4
    assert net.step(0, X, None)[0].shape == (120, 3)


def test_other_kinds_of_rows():
    expected = fitted().predict_proba(X)
    torch.manual_seed(0)
    net = quick().fit(torch.from_numpy(X).double(), torch.from_numpy(Y).int())
    np.testing.assert_array_equal(net.predict_proba(X), expected)
    np.testing.assert_array_equal(
        net.step(0, X, None)[0], net.step(0, torch.from_numpy(X), None)[0]
    )
    data = TensorRows(torch.from_numpy(X), torch.from_numpy(Y))
    assert quick(train_split=None).fit(data, None).n_exits == 4


def test_batch_norm_never_sees_a_single_row():
    quick(batch_size=16, train_split=None).fit(X[:33], Y[:33])


def test_grid_search():
    search = GridSearchCV(quick(), {"training": ["joint", "backtrack"], "lr": [1e-3]}, cv=2)
    assert search.fit(X, Y).best_score_ > 0


def test_module_as_an_instance():
    module = SmallNet(6, 3)
    assert quick(module).fit(X, Y).module_ is module  # as in skorch
    assert quick(module, module__n_exits=2).fit(X, Y).n_exits == 2


def test_images_in_bfloat16():
    images, y = np.tile(IMAGES, (4, 1, 1, 1)), np.tile(np.arange(12) % 3, 4)
    torch.manual_seed(0)
    net = EarlyExitNetClassifier(CascadedResNet, module__depth=8, module__width=4, max_epochs=2)
    net.set_params(bfloat16=False).fit(images, y)
    single = net.step(2, images, CachedState(0, net.step(0, images, None)[1]))[0]
    np.testing.assert_allclose(single, full_pass(net, images)[:, 2], atol=1e-5)
    net.bfloat16 = True
    state = net.step(0, images, None)[1]
    assert state.parts[0].dtype == torch.bfloat16
    half = net.step(2, images, CachedState(0, state))[0]
    assert half.dtype == np.float32
    np.testing.assert_allclose(half, single, atol=0.05)


# The joint trainer of policies -------------------------------------------------------------


def test_trained_in_place():
    """A copy's module maps rows to all logits, and nothing computed from weights is kept."""
    net = copy.deepcopy(NET)
    x = torch.from_numpy(X)
    logits = net.module_(x)
    assert isinstance(logits, tuple)
    assert [tuple(part.shape) for part in logits] == [(120, 3)] * net.n_exits
    softmax = net._get_predict_nonlinearity()
    torch.testing.assert_close(softmax(logits[0]), torch.softmax(logits[0], 1))
    before = NET.step(1, X, None)[0]
    net.module_.train()
    with torch.no_grad():
        for weight in net.module_.parameters():
            weight.add_(torch.randn_like(weight))
    np.testing.assert_allclose(net.step(1, X, None)[0], full_pass(net, X)[:, 1], atol=1e-6)
    assert not net.module_.training
    np.testing.assert_array_equal(NET.step(1, X, None)[0], before)


# As a member --------------------------------------------------------------------------------


def test_check_member():
    check_member(quick())
    check_member(quick(NestedNet))


#: The linear member costs less than the last exit of a net before it.
ANY_ORDER = "ignore:Stage '.*' costs .* and comes after:skcascade.exceptions.CascadeWarning"
LINEAR, LEARNS = LogisticRegression(), quick(max_epochs=20, lr=0.01)


@pytest.mark.parametrize(
    "members",
    [
        [("net", LEARNS)],
        [("net", LEARNS), ("linear", LINEAR)],
        [("linear", LINEAR), ("net", LEARNS)],
        [("linear", LINEAR), ("net", LEARNS), ("other", quick(module__n_exits=2))],
    ],
    ids=["alone", "before", "after", "between"],
)
@pytest.mark.filterwarnings(ANY_ORDER)
def test_cascade_with_string_labels(members):
    cascade = CascadeClassifier(members, alpha=0.001, random_state=0).fit(X, NAMES)
    assert set(cascade.predict(X)) <= {"ant", "bee", "cat"}
    assert cascade.score(X, NAMES) > 0.6
    recorded = Trace(np.stack(list(cascade.staged_predict_proba(X)), axis=1))
    replay = walk(recorded, cascade.policy_)
    np.testing.assert_array_equal(cascade.predict_exit(X), replay.exit)
    np.testing.assert_allclose(cascade.predict_proba(X), replay.proba, atol=1e-6)
    copied = pickle.loads(pickle.dumps(cascade))
    np.testing.assert_array_equal(copied.predict_proba(X), cascade.predict_proba(X))


@pytest.mark.parametrize("params", [{"cv": 3}, {"cv": 3, "n_jobs": 2}, {"memory": True}])
def test_cascade_is_reproducible(params, tmp_path):
    if "memory" in params:
        params = {"memory": str(tmp_path)}
    members = [("linear", LINEAR), ("net", quick(module=CheckNet))]
    runs = [
        CascadeClassifier(members, alpha=0.01, random_state=0, **params).fit(X, NAMES)
        for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0].predict_proba(X), runs[1].predict_proba(X))
    np.testing.assert_array_equal(runs[0].trace_.proba, runs[1].trace_.proba)


def CheckNet(n_features, n_classes):
    """Importable in other processes: made of public parts only."""
    return EarlyExitNet(
        [nn.Linear(n_features, 8), nn.Linear(8, 8)], [nn.Linear(8, n_classes) for _ in range(2)]
    )


def test_fitted_nets_in_a_cascade():
    frozen = [("linear", LINEAR), ("net", FrozenEstimator(NET))]
    cascade = CascadeClassifier(frozen, alpha=0.01, random_state=0).fit(X, NAMES)
    assert cascade.trace_.n_stages == 5
    assert adapt(freeze(NET)).n_exits == 4
    prefit = CascadeClassifier([("net", NET)], alpha=0.01, cv="prefit").fit(X, NAMES)
    np.testing.assert_allclose(list(prefit.staged_predict_proba(X))[1], full_pass(NET, X)[:, 1])


# Errors -------------------------------------------------------------------------------------


def skipping(n_features, n_classes):
    net = SmallNet(n_features, n_classes)
    net.exits = net.exits[:3]
    return net


class OneAnswer(SmallNet):
    def forward(self, x):
        return super().forward(x)[0]


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"module": MLP}, TypeError, "`module` must make a net with exits.*derive it from"),
        ({"module": skipping}, ValueError, "as many blocks as exits, but has 4 and 3"),
        ({"module__n_classes": 4}, ValueError, r"at exit 0, logits of shape \(2, 3\)"),
        ({"module__n_features": 5}, ValueError, r"cannot take rows of shape \(6,\)"),
        ({"module": OneAnswer}, ValueError, "must return a tuple of the logits of its 4 exits"),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        quick(**params).fit(X, Y)

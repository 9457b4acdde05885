"""How each kind of estimator becomes a member."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sklearn.datasets import make_classification
from sklearn.ensemble import BaggingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from skorch import NeuralNetClassifier
from torch import nn

from skcascade.members import EarlyExitNetClassifier, TorchClassifier
from skcascade.members._adapters import (
    adapt,
    as_estimator,
    as_float32,
    free_net,
    freeze,
    is_local_net,
    unwrap_frozen,
)
from skcascade.nets import MLP, EarlyExitNet

X, Y = make_classification(60, 6, n_informative=4, n_classes=3, random_state=0)
NAMES = np.array(["ant", "bee", "cat"])[Y]


def raw_net():
    """A skorch net without a seed, for 6 features and 3 classes."""
    return NeuralNetClassifier(
        MLP,
        module__n_features=6,
        module__n_classes=3,
        criterion=nn.CrossEntropyLoss,
        max_epochs=2,
        train_split=None,
        verbose=0,
        classes=[0, 1, 2],
    )


def two_exits(n_features, n_classes):
    blocks = [nn.Linear(n_features, 8), nn.Linear(8, 8)]
    return EarlyExitNet(blocks, [nn.Linear(8, n_classes) for _ in blocks])


def test_ordinary_classifiers_are_fitted_on_labels():
    member = adapt(GaussianNB()).fit(X, NAMES, Y)
    assert list(member.labels) == ["ant", "bee", "cat"]
    assert member.n_exits == 1
    proba, state = member.step(0, X, None)
    np.testing.assert_array_equal(proba, GaussianNB().fit(X, Y).predict_proba(X))
    assert state is None
    assert not member.trainable()


def in_pipeline(net):
    return make_pipeline(StandardScaler(), FunctionTransformer(np.float32), net)


@pytest.mark.parametrize("wrap", [lambda net: net, in_pipeline], ids=["raw", "pipeline"])
def test_raw_nets_are_fitted_on_codes_and_seeded(wrap):
    torch.manual_seed(5)
    state = torch.get_rng_state()
    member = adapt(wrap(raw_net())).seeded(3).fit(X, NAMES, Y)
    again = adapt(wrap(raw_net())).seeded(3).fit(X, NAMES, Y)
    np.testing.assert_array_equal(member.step(0, X, None)[0], again.step(0, X, None)[0])
    assert torch.equal(torch.get_rng_state(), state)
    assert member.labels is None
    assert member.trainable()
    other = adapt(wrap(raw_net())).seeded(4).fit(X, NAMES, Y)
    assert not np.array_equal(member.step(0, X, None)[0], other.step(0, X, None)[0])


def test_raw_nets_without_a_seed_use_the_global_generator():
    torch.manual_seed(5)
    member = adapt(raw_net()).seeded(None).fit(X, NAMES, Y)
    torch.manual_seed(5)
    net = raw_net().fit(X.astype(np.float32), Y.astype(np.int64))
    expected = net.predict_proba(X.astype(np.float32))
    np.testing.assert_array_equal(member.step(0, X, None)[0], expected)


def test_seeded_members_are_clones():
    bagging = BaggingClassifier(SGDClassifier(random_state=3))
    member = adapt(bagging).seeded(7)
    assert member.estimator.random_state == 7
    assert member.estimator.estimator.random_state == 3
    assert bagging.random_state is None
    frozen = freeze(GaussianNB().fit(X, Y))
    np.testing.assert_array_equal(adapt(frozen).seeded(7).labels, [0, 1, 2])


def test_other_estimators_with_steps_keep_their_labels():
    class Steps(LogisticRegression):
        n_exits = 1

        def step(self, exit, X, cached):
            return self.predict_proba(X), None

    member = adapt(Steps()).fit(X, NAMES, Y)
    assert list(member.labels) == ["ant", "bee", "cat"]
    assert member.block_rows is None
    assert adapt(EarlyExitNetClassifier(two_exits)).labels is None


def test_nets_that_may_be_trained_further():
    net = raw_net().initialize()
    assert free_net(net)[0] is net
    assert free_net(FrozenEstimator(net))[0] is None
    assert free_net(LogisticRegression())[0] is None
    scaler = StandardScaler().fit(X)
    inner, prepare = free_net(make_pipeline(scaler, net))
    assert inner is net
    np.testing.assert_array_equal(prepare(X), scaler.transform(X))
    torch_classifier = TorchClassifier(max_epochs=1, random_state=0).fit(X, Y)
    assert free_net(torch_classifier)[0] is torch_classifier.net_


def test_joint_module_maps_rows_to_log_probabilities():
    member = adapt(EarlyExitNetClassifier(two_exits, max_epochs=1)).seeded(0).fit(X, NAMES, Y)
    module, (rows, few) = member.joint(X, X[:4])
    assert (rows.dtype, tuple(few.shape)) == (torch.float32, (4, 6))
    with torch.no_grad():
        proba = module(rows).exp().numpy()
    for exit in range(2):
        np.testing.assert_allclose(proba[:, exit], member.step(exit, X, None)[0], atol=1e-6)


def test_modules_become_classifiers():
    module = MLP(6, 3)
    assert as_estimator(module).module is module
    assert isinstance(as_estimator(MLP), TorchClassifier)
    bayes = GaussianNB()
    assert as_estimator(bayes) is bayes


def test_freeze_and_unwrap():
    bayes = GaussianNB()
    frozen = freeze(bayes)
    assert freeze(frozen) is frozen
    assert unwrap_frozen(frozen) is bayes
    assert unwrap_frozen(bayes) is bayes


def test_nets_defined_in_main_are_local(monkeypatch):
    class Local(MLP):
        pass

    assert not is_local_net(TorchClassifier(Local))
    monkeypatch.setattr(Local, "__module__", "__main__")
    assert is_local_net(TorchClassifier(Local))
    assert is_local_net(make_pipeline(StandardScaler(), TorchClassifier(Local(6, 3))))
    assert not is_local_net(GaussianNB())


def test_inputs_of_nets_are_float32():
    assert as_float32(np.arange(3)[:, None]).dtype == np.float32
    tokens = {"ids": np.arange(3), "values": np.arange(3.0)}
    assert [v.dtype for v in as_float32(tokens).values()] == [np.int64, np.float32]
    assert as_float32(torch.arange(3)).dtype == torch.int64
    assert as_float32(torch.arange(3.0).double()).dtype == torch.float32
    with pytest.raises(ValueError, match="NaN"):
        as_float32(np.full((2, 2), np.nan))

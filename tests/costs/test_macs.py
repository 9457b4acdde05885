"""Multiply-accumulates: which rule counts a member, and how to register one."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.decomposition import PCA
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skcascade.costs import MacsCost
from skcascade.evidence import Stages
from skcascade.exceptions import UncountableError

N, P, C = 60, 6, 3
X, y = make_classification(
    N, P, n_informative=5, n_redundant=0, n_classes=C, class_sep=0.5, random_state=0
)


class Unknown(DummyClassifier):
    """Registered in one test, on a subclass."""


class Stranger:
    classes_ = [0, 1]


def test_unknown_type_says_what_to_do(stages_of):
    with pytest.raises(UncountableError, match=r"Member 'm1': .*Stranger.*MacsCost.register"):
        MacsCost().fit(
            stages_of(LogisticRegression(max_iter=50).fit(X, y == 1), Stranger(), classes=[0, 1]), X
        )
    with pytest.raises(UncountableError, match=r"Stranger.*cost=\[\.\.\.\].*LatencyCost"):
        MacsCost.count(make_pipeline(StandardScaler().fit(X), Stranger()), X)


def test_register_counts_type_and_subclasses():
    @MacsCost.register(Unknown)
    def count(estimator, X):
        return 10.0 * X.shape[1]

    class Child(Unknown):
        pass

    assert MacsCost.count(Child().fit(X, y), X) == 10 * P
    pipeline = make_pipeline(PCA(2), Unknown()).fit(X, y)
    assert MacsCost.count(pipeline, X) == 2 * P + 20
    assert count(None, X) == 10 * P  # the decorator returns the function


def test_register_refuses_instances():
    with pytest.raises(TypeError, match="takes a type"):
        MacsCost.register(Unknown())


def test_count_net_of_a_registered_type(stages_of, skorch_net, hidden_layer):
    net = skorch_net(hidden_layer())

    class MyNet(type(net)):
        pass

    MacsCost.register(MyNet)(lambda estimator, X: 7.0)
    mine = MyNet(**net.get_params(deep=False)).initialize()
    assert MacsCost().fit(stages_of(mine), X).edge_costs_.tolist() == [[7]]


def test_exits_of_one_net_count_the_trunk_once(torch):
    class TwoExits:
        """Exit 1 continues from the trunk of exit 0, and skips its head."""

        n_exits = 2
        labels = range(C)

        def __init__(self):
            linear = torch.nn.Linear
            self.trunks = [linear(P, 8), linear(8, 9)]
            self.heads = [linear(8, C), linear(9, C)]
            self.estimator = SimpleNamespace(module_=torch.nn.ModuleList(self.trunks + self.heads))

        @torch.no_grad()
        def step(self, exit, X, cached):
            state = torch.as_tensor(X, dtype=torch.float32) if cached is None else cached.state
            for trunk in self.trunks[0 if cached is None else cached.exit + 1 : exit + 1]:
                state = trunk(state)
            return self.heads[exit](state).softmax(1).numpy(), state

    cost = MacsCost().fit(Stages([("net", TwoExits())], range(C)), X)
    first, second = P * 8, 8 * 9
    np.testing.assert_array_equal(
        cost.edge_costs_,
        [[first + 8 * C, first + second + 9 * C], [np.nan, second + 9 * C]],
    )


def test_torch_is_not_imported_without_nets():
    code = (
        "import sys; from sklearn.dummy import DummyClassifier as D;"
        "from sklearn.tree import DecisionTreeClassifier as T;"
        "from skcascade.costs import MacsCost, LatencyCost; X = [[0], [1]];"
        "MacsCost.count(T().fit(X, [0, 1]), X); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)

"""Members, stages and nets that several tests of cost models use."""

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.linear_model import LogisticRegression

from skcascade.costs import MacsCost
from skcascade.evidence import Stages


class Member:
    """The smallest adapter of an independent member."""

    n_exits = 1

    def __init__(self, estimator):
        self.estimator = estimator
        self.labels = estimator.classes_

    def step(self, exit, X, cached):
        return self.estimator.predict_proba(X), None


@pytest.fixture(scope="session")
def stages_of():
    """Function that makes stages of fitted estimators."""

    def make(*estimators, classes=range(3)):
        members = [(f"m{i}", Member(estimator)) for i, estimator in enumerate(estimators)]
        return Stages(members, list(classes))

    return make


@pytest.fixture(scope="session")
def check_count(stages_of):
    """Function that fits an estimator on 60 rows of 6 features and 3 classes, and counts it."""
    X, y = make_classification(
        60, 6, n_informative=5, n_redundant=0, n_classes=3, class_sep=0.5, random_state=0
    )

    def check(estimator, expected):
        last = LogisticRegression(max_iter=50).fit(X, y)
        cost = MacsCost().fit(stages_of(estimator.fit(X, y), last), X)
        np.testing.assert_allclose(cost.edge_costs_, [[expected, 18], [np.nan, 18]])
        assert cost.unit == "MACs"

    return check


@pytest.fixture(scope="session")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="session")
def skorch_net(torch):
    """Function that makes a raw skorch net of a module, for 3 classes."""
    skorch = pytest.importorskip("skorch")

    def make(module):
        net = skorch.NeuralNetClassifier(
            module, criterion=torch.nn.CrossEntropyLoss, max_epochs=1, train_split=None, verbose=0
        )
        return net.set_params(classes=[0, 1, 2])

    return make


@pytest.fixture(scope="session")
def hidden_layer(torch):
    """Function that makes a module from 6 features over 5 hidden units to 3 classes."""

    def make():
        layers = torch.nn.Linear(6, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3)
        return torch.nn.Sequential(*layers)

    return make

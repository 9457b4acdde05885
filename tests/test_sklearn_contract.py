"""scikit-learn's contract."""

import numpy as np
from sklearn.calibration import CalibratedClassifierCV
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils.estimator_checks import parametrize_with_checks
from sklearn.dummy import DummyClassifier
from skorch import NeuralNetClassifier
from torch import nn

from skcascade import CascadeClassifier, make_cascade
from skcascade.members import TorchClassifier
from skcascade.policies import ConfidenceThreshold


class Perceptron(nn.Module):
    def __init__(self, n_classes=2):
        super().__init__()
        self.layers = nn.Sequential(nn.LazyLinear(8), nn.ReLU(), nn.Linear(8, n_classes))

    def forward(self, X):
        return self.layers(X).softmax(-1)


class SelfSizing(NeuralNetClassifier):
    def fit(self, X, y, **params):
        self.set_params(module__n_classes=len(np.unique(y)))
        return super().fit(X, y, **params)

def raw_net():
    return SelfSizing(Perceptron, max_epochs=20, lr=0.1, train_split=None, verbose=0)

@parametrize_with_checks([
    CascadeClassifier(),
    make_cascade(GaussianNB(), LogisticRegression()),
    make_cascade(GaussianNB(), LogisticRegression(), cv=3),
    make_cascade(GaussianNB(), LogisticRegression(), policy=ConfidenceThreshold(tuning="per_stage")),
    make_cascade(DecisionTreeClassifier(max_depth=3, random_state=0), LogisticRegression()),
    make_cascade(GaussianNB(), raw_net(), random_state=0),
    make_cascade(GaussianNB(), TorchClassifier(max_epochs=10)),
    make_cascade(GaussianNB(), LogisticRegression(), cost=[1, 10]),
])
def test_contract(estimator, check):
    check(estimator)

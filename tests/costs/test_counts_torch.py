"""Nets are counted by running them."""

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import make_classification
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from skcascade.costs import MacsCost

N, P, C = 60, 6, 3
X, y = make_classification(
    N, P, n_informative=5, n_redundant=0, n_classes=C, class_sep=0.5, random_state=0
)
NET = P * 5 + 5 * C


@pytest.mark.parametrize("wrap", [lambda net: net, FrozenEstimator])
def test_count_raw_skorch_net(wrap, stages_of, skorch_net, hidden_layer):
    net = skorch_net(hidden_layer()).initialize()
    rows = X.astype(np.float32)
    assert MacsCost().fit(stages_of(wrap(net)), rows).edge_costs_.tolist() == [[NET]]
    assert MacsCost.count(wrap(net), rows[:3]) == NET


def test_count_convolution(torch, skorch_net):
    layers = torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4 * 6 * 6, C)
    net = skorch_net(torch.nn.Sequential(*layers)).initialize()
    images = np.zeros((20, 3, 8, 8), dtype=np.float32)
    assert MacsCost.count(net, images) == 36 * 4 * 27 + 144 * C


def test_count_fused_layers(torch, skorch_net):
    """At inference torch runs these as one operation, which its counter does not know."""

    class Recurrent(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(4, 8, batch_first=True)
            layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.transformer = torch.nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
            self.head = torch.nn.Linear(8, C)

        def forward(self, x):
            return self.head(self.transformer(self.lstm(x)[0])[:, 0])

    steps = 5
    lstm = steps * 4 * 8 * (4 + 8)
    projections = steps * (4 * 8 * 8 + 2 * 8 * 16)
    attention = 2 * steps * steps * 8
    net = skorch_net(Recurrent()).initialize()
    before = torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled
    counted = MacsCost.count(net, np.zeros((20, steps, 4), dtype=np.float32))
    assert counted == lstm + projections + attention + 8 * C
    assert before == (torch.backends.mha.get_fastpath_enabled(), torch.backends.mkldnn.enabled)


def test_count_net_inside_other_estimators(skorch_net, hidden_layer):
    to_float = FunctionTransformer(np.float32)
    net = skorch_net(hidden_layer())
    pipeline = make_pipeline(StandardScaler(), to_float, net).fit(X, y)
    assert MacsCost.count(pipeline, X) == P + P + NET
    calibrated = CalibratedClassifierCV(make_pipeline(to_float, net), cv=2).fit(X, y)
    assert MacsCost.count(calibrated, X) == 2 * (P + NET + C)


def test_net_that_counts_nothing_is_an_error(torch, stages_of, skorch_net):
    net = skorch_net(torch.nn.BatchNorm1d(C)).initialize()
    rows = np.full((20, C), 1 / C, dtype=np.float32)
    with pytest.raises(ValueError, match=r"Member 'm0' ran no operation.*cost=\[\.\.\.\]"):
        MacsCost().fit(stages_of(net), rows)
    with pytest.raises(ValueError, match="NeuralNetClassifier ran no operation"):
        MacsCost.count(net, rows)

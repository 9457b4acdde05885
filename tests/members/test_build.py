"""From what a user gives as a module to a module that fits the data."""

import copy
import functools

import pytest

torch = pytest.importorskip("torch")

from sklearn.datasets import make_classification
from torch import nn

from skcascade.exceptions import CascadeWarning
from skcascade.members import TorchClassifier
from skcascade.members._build import build_module, check_exits, check_logits, select_sizes
from skcascade.nets import MLP, EarlyExitNet

X, Y = make_classification(200, 6, n_informative=4, n_classes=3, random_state=0)


def quick(module=None, **params):
    return TorchClassifier(module, **{"max_epochs": 3, "random_state": 0, **params})


def takes_nothing():
    return MLP(6, 3, hidden=(5,))


@pytest.mark.parametrize(
    ("module", "params"),
    [
        (None, {"hidden": (5,)}),
        (MLP, {"hidden": (5,)}),
        (functools.partial(MLP, hidden=(5,)), None),
        (takes_nothing, None),
        (MLP(6, 3, hidden=(5,)), None),
    ],
)
def test_kinds_of_module(module, params):
    clf = quick(module, module_params=params, standardize=False).fit(X, Y)
    assert clf.module_[1].weight.shape == (5, 6)
    assert clf.predict_proba(X).shape == (200, 3)


def test_an_instance_is_copied_and_trained_on():
    module = MLP(6, 3)
    before = copy.deepcopy(module.state_dict())
    clf = quick(module, lr=1e-9, weight_decay=0, standardize=False).fit(X, Y)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])
        torch.testing.assert_close(clf.module_.state_dict()[name], value, atol=1e-5, rtol=0)
    assert clf.module_ is not module


def test_module_that_builds_no_module():
    with pytest.raises(TypeError, match=r"must return a torch\.nn\.Module"):
        quick(lambda: 3).fit(X, Y)


def test_module_that_returns_probabilities():
    with pytest.warns(CascadeWarning, match="leave out its last softmax"):
        quick(nn.Sequential(MLP(6, 3), nn.Softmax(dim=1))).fit(X, Y)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": MLP(6, 2)}, r"logits of shape \(2, 3\).*returned \(2, 2\)"),
        ({"module": MLP(5, 3)}, r"cannot take rows of shape \(6,\)"),
        ({"module": MLP(6, 3), "module_params": {"hidden": ()}}, "`module` is an instance"),
    ],
)
def test_modules_that_do_not_fit(params, message):
    with pytest.raises(ValueError, match=message):
        quick(**params).fit(X, Y)


def test_sizes_of_single_numbers():
    def factory(n_features, in_channels, n_classes, other=1):
        raise AssertionError("only its signature is read")

    sizes = {"n_features": 1, "in_channels": 1, "n_classes": 2}
    assert select_sizes(factory, (), 2) == sizes


def test_given_parameters_override_sizes_of_the_data():
    module = build_module(MLP, {"hidden": (), "n_classes": 7}, (4,), 3)
    assert [layer.weight.shape for layer in module if hasattr(layer, "weight")] == [(7, 4)]


def test_checks_of_logits():
    rows = torch.zeros(2, 4)
    check_logits(nn.Linear(4, 3), rows, 3)
    with pytest.raises(ValueError, match=r"logits of shape \(2, 3\).*returned \(2, 5\)"):
        check_logits(nn.Linear(4, 5), rows, 3)
    with pytest.raises(ValueError, match=r"cannot take rows of shape \(4,\)"):
        check_logits(nn.Linear(9, 3), rows, 3)


def test_checks_of_exits():
    net = EarlyExitNet([nn.Linear(4, 8), nn.Linear(8, 8)], [nn.Linear(8, 3), nn.Linear(8, 2)])
    with pytest.raises(ValueError, match=r"at exit 1, logits of shape \(2, 3\)"):
        check_exits(net, torch.zeros(2, 4), 3)
    net.forward = lambda x: torch.zeros(len(x), 3)
    with pytest.raises(ValueError, match="a tuple of the logits of its 2 exits"):
        check_exits(net, torch.zeros(2, 4), 3)

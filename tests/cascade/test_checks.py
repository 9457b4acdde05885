"""Parameters that contradict each other or what is known before members are fitted."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from skcascade import CascadeClassifier, Trace
from skcascade.cascade._checks import (
    check_certificate,
    check_costs,
    check_loss,
    check_reject,
    may_reject,
    n_stages_before_fit,
    operating_point,
    reject_bound,
    warn_if_memorized,
)
from skcascade.cascade._validation import check_members
from skcascade.evidence import CostMatrix
from skcascade.evidence._named_losses import NAMED_LOSSES
from skcascade.exceptions import CascadeWarning
from skcascade.members import EarlyExitNetClassifier
from skcascade.nets import EarlyExitNet
from skcascade.policies import ConfidenceThreshold
from skcascade.tuning._fit_policy import check_weight
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._reject_bound import RejectBound

MEMBERS = [("small", GaussianNB()), ("large", LogisticRegression())]
X = np.zeros((4, 2))


def cascade(**params):
    return CascadeClassifier(**{"members": MEMBERS, **params})


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, False),
        ({"reject_cost": 0.0}, True),
        ({"max_error": 0.1}, True),
        ({"reject_rate": 0.0}, True),
    ],
)
def test_whether_samples_may_be_rejected(params, expected):
    assert may_reject(cascade(**params)) is expected


def test_reject_cost_is_given_or_chosen():
    check_reject(cascade(max_error=0.1))
    check_reject(cascade(reject_rate=0.1))
    for given in (["reject_cost", "max_error"], ["max_error", "reject_rate"]):
        with pytest.raises(
            ValueError, match=f"At most one of .* Got `{given[0]}` and `{given[1]}`"
        ):
            check_reject(cascade(**dict.fromkeys(given, 0.2)))


def test_what_cannot_be_certified():
    check_certificate(cascade(), recorded=False)
    check_certificate(cascade(confidence_level=0.9))
    with pytest.raises(ValueError, match="needs held-out answers of the very members that are"):
        check_certificate(cascade(confidence_level=0.9), recorded=False)


def test_bound_on_rejected_samples():
    assert reject_bound(cascade(reject_cost=0.1)) is None
    assert reject_bound(cascade(max_error=0.1)) == RejectBound(max_error=0.1)
    assert reject_bound(cascade(reject_rate=0.0)) == RejectBound(reject_rate=0.0)


def test_alpha_may_come_with_a_certified_bound_on_rejected_samples():
    policy, params = ConfidenceThreshold(), {"alpha": 0.1, "confidence_level": 0.9}
    with pytest.raises(ValueError, match="`confidence_level` certifies a bound, and `alpha` sets"):
        operating_point(cascade(**params), policy)
    for bound in ({"max_error": 0.1}, {"reject_rate": 0.1}):
        assert operating_point(cascade(**params, **bound), policy) == OperatingPoint(alpha=0.1)
    given = RejectBound(max_error=0.1)
    assert operating_point(cascade(**params), policy, given) == OperatingPoint(alpha=0.1)


def test_weights_cannot_be_certified():
    check_weight(np.ones(4), np.array([0, 1, 0, 1]))
    check_weight(None, np.array([0, 1]), confidence_level=0.9)
    with pytest.raises(ValueError, match="cannot be combined with `sample_weight`"):
        check_weight(np.ones(4), np.array([0, 1, 0, 1]), confidence_level=0.9)


def test_number_of_stages_is_unknown_before_a_net_with_exits_is_fitted():
    assert n_stages_before_fit(check_members(cascade(), X)) == 2
    net = cascade(members=[*MEMBERS, ("net", EarlyExitNetClassifier(EarlyExitNet))])
    members = check_members(net, X)
    assert n_stages_before_fit(members) is None
    check_costs(net.set_params(cost=[1, 2, 3, 4, 5]), members)


@pytest.mark.parametrize("cost", [[1, 4], {"small": 1, "large": 4}], ids=["list", "names"])
def test_an_unreachable_cost(cost):
    given = cascade(cost=cost, max_cost=0.25)
    check_costs(given, check_members(given, X))
    given.set_params(max_cost=0.24)
    with pytest.raises(ValueError, match="`max_cost`=0.24 cannot be reached: .* of 0.25. Raise"):
        check_costs(given, check_members(given, X))
    given.set_params(reject_cost=0.1)  # rejecting at once costs nothing
    check_costs(given, check_members(given, X))


def test_costs_by_other_names():
    given = cascade(cost={"small": 1, "big": 4})
    with pytest.raises(ValueError, match=r"lacks \['large'\] and has \['big'\] too"):
        check_costs(given, check_members(given, X))


@pytest.mark.parametrize(
    ("loss", "match"),
    [
        (lambda y, proba: 0.5, r"one number per sample, .* \(3,\), got \(\)"),
        (lambda y, proba: proba, r"one number per sample, .* \(3,\), got \(3, 3\)"),
        (lambda y, proba: np.log(y - y), "finite numbers"),
        (lambda y, proba: y.astype(str), "finite numbers"),
    ],
    ids=["a number", "a matrix", "infinity", "strings"],
)
@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
def test_losses_that_cannot_be_used(loss, match):
    with pytest.raises(ValueError, match=match):
        check_loss(loss, 3)


@pytest.mark.parametrize(
    ("loss", "match"),
    [
        ("hinge", "`loss` must be one of 'zero_one', 'log_loss', 'brier', 'balanced', a cost m"),
        (np.ones((2, 2)), r"`loss` .* \(n_classes, n_classes\) = \(3, 3\), a row .* got \(2, 2\)"),
        (
            CostMatrix(np.ones((2, 2))),
            r"`loss` .* \(n_classes, n_classes\) = \(3, 3\), .* \(2, 2\)",
        ),
        (np.ones((4, 2)), r"`loss` .* \(3, 3\), a row for each true class, got \(4, 2\)"),
        (0.5, r"`loss` .* \(3, 3\), a row for each true class, got \(\)"),
        (np.eye(3) - 2, "`loss` .* not be negative, got -2. Subtract the smallest entry of each"),
        (np.full((3, 3), np.inf), "`loss` must hold finite numbers, got NaN or infinity"),
        (np.full((3, 3), np.nan), "`loss` must hold finite numbers, got NaN or infinity"),
        ([["a", "b", "c"]] * 3, "`loss` must hold real numbers"),
    ],
)
def test_names_and_matrices_that_cannot_be_used(loss, match):
    with pytest.raises(ValueError, match=match):
        check_loss(loss, 3)


def probability_of_error(y, proba):
    return 1 - proba[np.arange(len(y)), y]


def test_losses_that_can():
    assert check_loss(None, 3) is None
    assert check_loss(probability_of_error, 3) is probability_of_error
    names = {name: check_loss(name, 3).name for name in NAMED_LOSSES}
    assert names == {
        "zero_one": "accuracy",
        "log_loss": "1 - log loss",
        "brier": "1 - Brier loss",
        "balanced": "balanced accuracy",
    }
    assert check_loss([[0, 1], [5, 0]], 2).matrix.tolist() == [[0, 1], [5, 0]]
    matrix = CostMatrix(np.eye(3))
    assert check_loss(matrix, 3) is matrix


def test_memorized_rows_are_suspicious():
    y = np.arange(30) % 2
    right = np.eye(2)[np.stack([y, y], axis=1)]
    with pytest.warns(CascadeWarning, match="every member is correct on 100.0% of the rows"):
        warn_if_memorized("prefit", Trace(right), y)
    warn_if_memorized("prefit", Trace(right[:29]), y[:29])  # too few to tell
    warn_if_memorized(0.2, Trace(right), y)  # members were not fitted on them
    right[0, 1] = [0.0, 1.0]  # one mistake of one member
    warn_if_memorized("prefit", Trace(right), y)

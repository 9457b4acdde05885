"""Groups in each of which a bound is certified."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skcascade import Trace, fit_policy, walk
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold
from skcascade.tuning._groups import Groups

LABELS = st.lists(st.sampled_from(["a", "b", 1, 1.5, True, ("x", 2)]), min_size=1)


@given(LABELS, LABELS)
def test_rows_keep_their_labels(labels, more):
    groups = Groups.of(labels)
    assert [groups.labels[code] for code in groups.codes] == labels
    both = groups.extended(Groups.of(more))
    assert [both.labels[code] for code in both.codes] == labels + more
    assert set(both.labels) == {*labels, *more}
    rows = np.arange(0, len(labels), 2)
    masks = groups.rows(rows).masks(np.arange(len(rows)))
    assert np.array_equal(masks, groups.masks(rows))
    assert (masks.sum(axis=0) == 1).all()
    label, n_rows = groups.smallest(rows)
    assert n_rows == masks.sum(axis=1).min() == labels[::2].count(label)


def test_a_group_without_rows_is_a_group():
    few = Groups.of(["a", "b", "a"]).rows([0, 2])
    assert few.smallest(np.arange(2)) == ("b", 0)
    assert few.extended(few).smallest(np.arange(4)) == ("b", 0)


@pytest.mark.parametrize(
    ("labels", "level", "match"),
    [
        ([0, 1, 0], None, "Set `confidence_level`, or drop `groups`"),
        ([0, 1], 0.9, r"`groups` must have the shape \(n_samples,\) = \(3,\), got \(2,\)"),
        ([[0], [1], [0]], 0.9, r"got \(3, 1\)"),
        ([0, np.nan, 1], 0.9, "missing values"),
        (["a", None, "b"], 0.9, "missing values"),
        (pd.Series(["a", pd.NA, "b"], dtype="string"), 0.9, "missing values"),
        (np.array(["2020-01-01", "NaT", "2020-01-02"], "M8[s]"), 0.9, "missing values"),
        (np.array([{}, 1, 2], dtype=object), 0.9, "`groups` must hold labels"),
    ],
)
def test_what_is_no_group(labels, level, match):
    with pytest.raises(ValueError, match=match):
        Groups.check("groups", labels, 3, level)


def test_none_is_none():
    assert Groups.check("groups", None, 3, None) is None


# Certificates -----------------------------------------------------------------------------


def draw(n, seed, second=(0.97, 0.97), shift=0.0):
    """Two stages, and a group of a seventh of the rows.

    The first stage is correct as often as it says, in group 1 less often by `shift`.
    """
    rng = np.random.default_rng(seed)
    y, group = rng.integers(2, size=n), (rng.uniform(size=n) < 0.15).astype(int)
    sure = rng.uniform(0.55, 0.99, size=n)
    skill = np.c_[sure - shift * group, np.array(second)[group]]
    right = rng.uniform(size=(n, 2)) < skill
    pred = np.where(right, y[:, np.newaxis], 1 - y[:, np.newaxis])
    return Trace.from_top1(pred, np.c_[sure, np.full(n, 0.95)], n_classes=2), y, group


def certified(trace, y, drop=0.1, **params):
    return fit_policy(
        ConfidenceThreshold(), trace, y, cost=[1, 10], max_accuracy_drop=drop,
        confidence_level=0.9, random_state=0, **params,
    )  # fmt: skip


def drops(policy, **of_population):
    """The true drop in each group below the stage that is best for it."""
    trace, y, group = draw(100_000, 1, **of_population)
    losses = trace.losses(y)
    loss = losses[np.arange(len(y)), walk(trace, policy).exit]
    return [loss[group == k].mean() - losses[group == k].mean(axis=0).min() for k in (0, 1)]


def test_no_group_loses_more_than_the_bound():
    trace, y, group = draw(4000, 0, shift=0.2)
    all_together = certified(trace, y)
    assert all_together.certified_
    assert drops(all_together, shift=0.2)[1] > 0.15
    by_group = certified(trace, y, groups=group)
    assert by_group.certified_
    assert by_group.stages_ == [0, 1]
    assert max(drops(by_group, shift=0.2)) <= 0.1


def test_the_drop_is_below_the_stage_that_is_best_for_the_group():
    second = 0.97, 0.5  # worse than the first one in group 1
    trace, y, group = draw(4000, 0, second=second)
    all_together = certified(trace, y, 0.03)
    assert all_together.certified_
    assert drops(all_together, second=second)[1] > 0.05
    with pytest.warns(CascadeWarning, match="No operating point could be certified"):
        policy = certified(trace, y, 0.03, groups=group)
    assert not policy.certified_


def test_one_group_is_no_group():
    trace, y, _ = draw(1500, 0)
    plain, one = certified(trace, y), certified(trace, y, groups=["all"] * 1500)
    assert plain.certified_
    assert one.certified_
    assert np.array_equal(plain.thresholds_, one.thresholds_)
    assert plain.stages_ == one.stages_


def test_a_group_without_test_rows_is_not_certified():
    trace, y, _ = draw(1500, 0)
    group = np.zeros(1500, dtype=int)
    for loss in (None, "brier"):
        same = Trace(trace.proba, loss=loss)
        assert certified(same, y, 0.5, groups=group).certified_
        alone = group.copy()
        alone[next(i for i in range(1500) if not _is_tested(same, y, i))] = 1
        with pytest.warns(CascadeWarning, match="The smallest group, 1, has 0 of 1050 test rows"):
            assert not certified(same, y, 0.5, groups=alone).certified_


def _is_tested(trace, y, row):
    """Whether the split that `certified` draws tests a row."""
    from sklearn.utils import check_random_state

    seed = check_random_state(0).randint(2**31 - 1)
    return row in np.random.RandomState(seed).permutation(len(y))[450:]


def test_max_cost_is_kept_in_every_group():
    trace, y, group = draw(3000, 0)
    bound = {"cost": [1, 10], "max_cost": 0.6, "confidence_level": 0.9, "random_state": 0}
    policy = fit_policy(ConfidenceThreshold(), trace, y, groups=group, **bound)
    assert policy.certified_
    route = walk(trace, policy)
    for label in (0, 1):
        assert (route.visited[group == label] @ [0.1, 1.0]).mean() < 0.65


def test_groups_need_a_confidence_level():
    trace, y, group = draw(50, 0)
    with pytest.raises(ValueError, match="Set `confidence_level`, or drop `groups`"):
        fit_policy(ConfidenceThreshold(), trace, y, cost=[1, 10], groups=group)


def test_without_a_confidence_level_nothing_is_certified():
    trace, y, _ = draw(200, 0)
    assert ConfidenceThreshold.certified_ is False
    assert fit_policy(ConfidenceThreshold(), trace, y, cost=[1, 10]).certified_ is False

"""Thresholds, compared with every combination of thresholds."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from skcascade.policies import _threshold
from skcascade.policies._threshold import ThresholdRules, candidate_thresholds, fit_thresholds

# All numbers of the tiny problems are multiples of 1/8, so that sums have no rounding and
# what is equal is equal.
EIGHTHS = st.integers(0, 8).map(lambda i: i / 8)


@st.composite
def problems(draw, n_stages=None):
    """score, loss (n_samples, n_stages), edges (n_stages, n_stages), alpha, weight.

    Of half the problems the edges are (n_stages, n_stages, n_samples): rows have costs.
    """
    n_stages = n_stages or draw(st.integers(1, 3))
    n, levels = draw(st.integers(1, 7)), draw(st.sampled_from([2, 4, 8]))  # few levels: many ties
    alpha = draw(st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    score = rng.integers(0, levels + 1, size=(n, n_stages)) / levels
    loss = rng.choice([0.0, 0.0, 1.0, 1.0, 0.5], size=(n, n_stages))
    per_row = (n,) if draw(st.booleans()) else ()
    edges = rng.integers(0, 9, size=(n_stages, n_stages, *per_row)) / 8
    return score, loss, edges, alpha, rng.integers(1, 4, size=n).astype(float)


def of_rows(edges, rows):
    """The edges of some rows."""
    return edges[..., rows] if edges.ndim == 3 else edges


def objective(problem, stages, thresholds):
    """Mean of loss + alpha * cost, one sample after another."""
    score, loss, edges, alpha, weight = problem
    total = 0.0
    for i in range(len(score)):
        came_from = 0
        for stage in stages:
            total += weight[i] * alpha * of_rows(edges, i)[came_from, stage]
            if stage == stages[-1] or score[i, stage] >= thresholds[stage]:
                total += weight[i] * loss[i, stage]
                break
            came_from = stage + 1
    return total / weight.sum()


def mean_cost(problem, stages, thresholds):
    score, loss, edges, _, weight = problem
    return objective((score, np.zeros_like(loss), edges, 1.0, weight), stages, thresholds)


def places(problem, stage):
    """Every threshold that makes a difference."""
    return [np.inf, *np.unique(problem[0][:, stage])]


def threshold_combinations(problem, stages):
    """All thresholds (n_stages,) of the stages but the last."""
    for chosen in product(*(places(problem, stage) for stage in stages[:-1])):
        thresholds = np.full(problem[0].shape[1], np.inf)
        thresholds[list(stages[:-1])] = chosen
        yield thresholds


def best_by_brute_force(problem, stages):
    return min(
        objective(problem, stages, thresholds)
        for thresholds in threshold_combinations(problem, stages)
    )


def subsets(n_stages):
    return [s for m in range(1, n_stages + 1) for s in combinations(range(n_stages), m)]


def solved(problem, stages):
    """Thresholds (n_stages,) and objective of one subset of the stages."""
    score, loss, edges, alpha, weight = problem
    thresholds, value = ThresholdRules(score, loss, edges, weight).solve(stages, np.array([alpha]))
    return thresholds[0], value[0]


def fitted(problem, alphas=None):
    """Thresholds (n_alphas, n_stages) and stages."""
    score, loss, edges, alpha, weight = problem
    return fit_thresholds(score, loss, edges, [alpha] if alphas is None else alphas, weight)


def random_problem(n, n_stages, seed=0, alpha=0.1):
    """Stages that know how sure they are, the later ones better and more expensive."""
    rng = np.random.default_rng(seed)
    score = rng.uniform(0.4, 1, size=(n, n_stages))
    right = rng.uniform(size=(n, n_stages)) < score ** (2.0 / np.arange(1, n_stages + 1))
    costs = 4.0 ** np.arange(n_stages)
    edges = np.broadcast_to(costs / costs[-1], (n_stages, n_stages))
    return score, 1.0 - right, edges, alpha, np.ones(n)


# Against brute force ----------------------------------------------------------------------


@given(problems())
@settings(max_examples=200, deadline=None)
def test_objective_is_that_of_the_thresholds(problem):
    for stages in subsets(problem[0].shape[1]):
        thresholds, value = solved(problem, stages)
        assert value == pytest.approx(objective(problem, stages, thresholds), abs=1e-12)


@given(problems(n_stages=2))
@settings(max_examples=200, deadline=None)
def test_two_stages_are_exact(problem):
    thresholds, stages = fitted(problem)
    value = objective(problem, stages[0], thresholds[0])
    best = min(best_by_brute_force(problem, subset) for subset in subsets(2))
    assert value == pytest.approx(best, abs=1e-12)
    assert solved(problem, (0, 1))[1] == pytest.approx(
        best_by_brute_force(problem, (0, 1)), abs=1e-12
    )


@given(problems(n_stages=3))
@settings(max_examples=200, deadline=None)
def test_three_stages_are_coordinatewise_optimal(problem):
    """No threshold can be moved alone to any gain."""
    thresholds, value = solved(problem, (0, 1, 2))
    for stage in (0, 1):
        for threshold in places(problem, stage):
            moved = thresholds.copy()
            moved[stage] = threshold
            assert objective(problem, (0, 1, 2), moved) >= value - 1e-12


@given(problems(n_stages=3))
@settings(max_examples=200, deadline=None)
def test_three_stages_are_never_worse_than_fewer(problem):
    thresholds, stages = fitted(problem)
    value = objective(problem, stages[0], thresholds[0])
    fewer = [subset for subset in subsets(3) if len(subset) < 3]
    assert value <= min(best_by_brute_force(problem, subset) for subset in fewer) + 1e-12
    assert value >= min(best_by_brute_force(problem, subset) for subset in subsets(3)) - 1e-12


def test_fixed_point_reaches_the_optimum_on_real_sizes():
    """Coordinate sweeps over three stages lose next to nothing against all pairs of thresholds."""
    problem = random_problem(60, 3, seed=3)
    best = best_by_brute_force(problem, (0, 1, 2))
    assert solved(problem, (0, 1, 2))[1] <= best + 0.002


# Pruning ----------------------------------------------------------------------------------


def test_useless_middle_stage_is_dropped():
    score = np.array([[0.9, 0.7, 1.0]] * 6 + [[0.5, 0.6, 1.0]] * 4)
    loss = np.array([[0, 0, 0]] * 6 + [[1, 1, 0]] * 4, dtype=float)
    edges = np.broadcast_to([0.1, 0.3, 1.0], (3, 3))
    thresholds, stages = fitted((score, loss, edges, 0.1, np.ones(10)))
    assert stages == [(0, 2)]
    np.testing.assert_array_equal(thresholds, [[0.7, np.inf, np.inf]])


@pytest.mark.parametrize("alpha", [0.0, 0.01, 1.0])
def test_everything_in_one_stage_where_the_expensive_one_is_no_better(alpha):
    score, loss, edges, _, weight = random_problem(50, 2)
    loss[:, 1] = loss[:, 0]
    assert fitted((score, loss, edges, alpha, weight))[1] == [(0,)]


def test_everything_in_the_expensive_stage_where_the_cheap_one_is_useless():
    score, loss, edges, _, weight = random_problem(50, 2)
    loss[:] = [1.0, 0.0]
    assert fitted((score, loss, edges, 0.5, weight))[1] == [(1,)]


def test_equal_objective_takes_fewer_stages():
    """Cost does not matter here: the second stage corrects the first one, and does so alone too."""
    score = np.array([[0.9, 0.9], [0.5, 0.9]])
    loss = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert fitted((score, loss, np.ones((2, 2)), 0.0, np.ones(2)))[1] == [(1,)]


def nine_stages(n=400):
    """The first is often sure, the last always right, those between copies of the first."""
    rng = np.random.default_rng(0)
    sure = rng.random(n) < 0.6
    score = np.where(sure, 0.9, 0.4)[:, np.newaxis] + rng.uniform(0, 0.05, (n, 9))
    loss = np.tile(1.0 - sure[:, np.newaxis], 9)
    loss[:, 8] = 0
    edges = np.broadcast_to(np.linspace(0.1, 1.0, 9), (9, 9))
    return score, loss, edges, 0.1, np.ones(n)


def test_more_than_eight_stages_are_eliminated_one_by_one(monkeypatch):
    tried = []
    solve = ThresholdRules.solve

    def counting(self, stages, alphas, **sweeps):
        tried.append(stages)
        return solve(self, stages, alphas, **sweeps)

    monkeypatch.setattr(ThresholdRules, "solve", counting)
    thresholds, stages = fitted(nine_stages())
    assert stages == [(0, 8)]
    assert 0.45 < thresholds[0, 0] < 0.9
    assert 9 < len(tried) <= 1 + sum(range(2, 10)) + 1  # not 2 ** 9 - 1


def test_eight_stages_are_tried_exhaustively(monkeypatch):
    """And give what elimination gives where that is easy."""
    score, loss, edges, alpha, weight = nine_stages(100)
    problem = score[:, 1:], loss[:, 1:], edges[1:, 1:], alpha, weight
    whole = fitted(problem)
    assert whole[1] == [(0, 7)]
    monkeypatch.setattr(_threshold, "EXHAUSTIVE_STAGES", 3)
    eliminated = fitted(problem)
    assert eliminated[1] == whole[1]
    np.testing.assert_array_equal(eliminated[0], whole[0])


def test_screening_gives_the_same_on_easy_data(monkeypatch):
    score, loss, edges, _, weight = nine_stages(1500)
    few = [0, 3, 5, 8]
    problem = score[:, few], loss[:, few], edges[:, few][few], None, weight
    alphas = [0.01, 0.1, 0.5]
    assert len(score) <= _threshold.SCREEN_ROWS
    exhaustive = fitted(problem, alphas)
    rows = []
    solve = ThresholdRules.solve

    def noting(self, stages, alphas, **options):
        rows.append(self.n_samples)
        return solve(self, stages, alphas, **options)

    monkeypatch.setattr(ThresholdRules, "solve", noting)
    monkeypatch.setattr(_threshold, "SCREEN_ROWS", 300)
    screened = fitted(problem, alphas)
    assert screened[1] == exhaustive[1]
    np.testing.assert_array_equal(screened[0], exhaustive[0])
    assert rows.count(300) == 15  # every subset on a part of the rows
    assert 0 < rows.count(1500) < 15  # and the best of them on all


def test_screened_rows_keep_their_costs(monkeypatch):
    monkeypatch.setattr(_threshold, "SCREEN_ROWS", 20)
    score, loss, _, _, weight = random_problem(100, 3)
    edges = np.broadcast_to(score.T, (3, 3, 100))
    screened = ThresholdRules(score, loss, edges, weight).screen()
    assert screened.edges.shape == (3, 3, 20)
    np.testing.assert_array_equal(screened.edges[0], screened.score)


# Weights ----------------------------------------------------------------------------------


ALPHAS = [0.0, 0.125, 0.25, 0.5, 1.0]


@given(problems())
@settings(max_examples=100, deadline=None)
def test_integer_weights_are_repeated_rows(problem):
    score, loss, edges, alpha, weight = problem
    times = weight.astype(int)
    rows = np.repeat(np.arange(len(score)), times)
    repeated = score[rows], loss[rows], of_rows(edges, rows), alpha, np.ones(len(rows))
    weighted_thresholds, weighted_stages = fitted(problem, ALPHAS)
    repeated_thresholds, repeated_stages = fitted(repeated, ALPHAS)
    assert weighted_stages == repeated_stages
    np.testing.assert_array_equal(weighted_thresholds, repeated_thresholds)


@given(problems(), st.integers(0, 2**7 - 1))
@settings(max_examples=100, deadline=None)
def test_weight_zero_is_a_row_removed(problem, mask):
    score, loss, edges, alpha, weight = problem
    kept = np.array([mask >> i & 1 for i in range(len(score))], dtype=bool)
    kept[0] = True
    less = score[kept], loss[kept], of_rows(edges, kept), alpha, weight[kept]
    thresholds, stages = fitted((score, loss, edges, alpha, weight * kept))
    fewer_thresholds, fewer_stages = fitted(less)
    assert stages == fewer_stages
    np.testing.assert_array_equal(score[kept] >= thresholds, score[kept] >= fewer_thresholds)


# Alphas -----------------------------------------------------------------------------------


@given(problems(n_stages=2), st.lists(EIGHTHS, min_size=2, max_size=5, unique=True))
@settings(max_examples=100, deadline=None)
def test_a_larger_alpha_never_costs_more(problem, alphas):
    """Each alpha on its own, so that nothing is interpolated."""
    spent = []
    for alpha in sorted(alphas):
        thresholds, stages = fitted(problem, [alpha])
        spent.append(mean_cost(problem, stages[0], thresholds[0]))
    assert (np.diff(spent) <= 1e-9).all()


def test_alphas_are_solved_alike_together_and_alone(monkeypatch):
    """Also where they are worked on in several chunks."""
    score, loss, edges, _, weight = random_problem(80, 3)
    alphas = np.geomspace(0.001, 1, 12)
    rules = ThresholdRules(score, loss, edges, weight)
    alone = [rules.solve((0, 1, 2), np.array([alpha])) for alpha in alphas]
    for chunk in (80 * 100, 80 * 5, 1):
        monkeypatch.setattr(_threshold, "CHUNK", chunk)
        thresholds, value = rules.solve((0, 1, 2), alphas)
        np.testing.assert_array_equal(
            thresholds, np.concatenate([thresholds for thresholds, _ in alone])
        )
        np.testing.assert_allclose(value, np.concatenate([v for _, v in alone]), rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_interpolation_stays_between_neighboring_steps(seed):
    score, loss, edges, _, weight = random_problem(300, 2, seed)
    alphas = np.geomspace(8e-3, 1, 40)  # all above 2 / n
    smooth, stages = fitted((score, loss, edges, None, weight), alphas)
    exact = [fitted((score, loss, edges, None, weight), [alpha]) for alpha in alphas]
    assert stages == [one[0] for _, one in exact]
    both = np.array([one == (0, 1) for one in stages])
    run = np.flatnonzero(both)
    assert np.array_equal(run, np.arange(run[0], run[-1] + 1))
    thresholds = np.array([thresholds[0, 0] for thresholds, _ in exact])[run]
    smooth = smooth[run, 0]
    step = np.cumsum(np.r_[0, thresholds[1:] != thresholds[:-1]])
    levels = thresholds[np.searchsorted(step, np.arange(step[-1] + 1))]
    for at, threshold in zip(step, smooth):
        near = levels[max(0, at - 1) : at + 2]
        assert near.min() <= threshold <= near.max()
    assert len(np.unique(smooth)) > len(np.unique(thresholds))  # it does fill the gaps
    assert (np.diff(smooth) <= 0).all()  # the larger alpha, the sooner


def test_nothing_to_interpolate_between_other_subsets():
    problem = np.array([[0.9], [0.8]]), np.array([[0.0], [1.0]]), np.ones((1, 1)), None, np.ones(2)
    thresholds, stages = fitted(problem, ALPHAS)
    assert stages == [(0,)] * 5
    assert (thresholds == np.inf).all()


# Places of thresholds ---------------------------------------------------------------------


def test_candidate_thresholds_by_hand():
    order, ends, thresholds = candidate_thresholds(np.array([0.25, 1.0, 0.5, 1.0]))
    assert sorted(order[:2]) == [1, 3]
    assert order[2:].tolist() == [2, 0]
    assert ends.tolist() == [1, 2, 3]
    assert thresholds.tolist() == [0.75, 0.375, -np.inf]


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=20))
@settings(max_examples=150, deadline=None)
def test_candidate_thresholds_part_the_samples_between_their_scores(scores):
    """In float32, as traces are: also where two scores are neighboring numbers."""
    score = np.array(scores, dtype=np.float32)
    order, ends, thresholds = candidate_thresholds(score)
    assert sorted(order) == list(range(len(score)))
    assert len(ends) == len(thresholds) == len(np.unique(score))
    falling = score[order].astype(float)
    for end, threshold in zip(ends[:-1], thresholds[:-1]):
        assert falling[end + 1] < threshold <= falling[end]
        assert threshold == pytest.approx((falling[end] + falling[end + 1]) / 2, rel=1e-6)
    for end, threshold in zip(ends, thresholds):
        np.testing.assert_array_equal(falling >= threshold, np.arange(len(score)) <= end)


def test_below_the_first_step_the_share_that_exits_falls_to_zero():
    """A threshold without a loss on these rows has some on others: where cost hardly counts, none
    exits."""
    score, loss = np.array([[0.9, 0.9], [0.5, 0.5]]), np.array([[0.0, 0.0], [1.0, 0.0]])
    edges = np.array([[0.1, 0.6], [np.nan, 0.5]])
    thresholds, stages = fitted((score, loss, edges, None, np.ones(2)), np.geomspace(1e-3, 0.1, 5))
    assert stages == [(0, 1)] * 5
    assert thresholds[0, 0] == np.inf
    assert thresholds[-1, 0] == pytest.approx(0.7)

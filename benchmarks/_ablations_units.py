"""Units of work of the ablations: a variant on one draw, in numbers that can be cached."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from skcascade import walk
from skcascade._curve import curve_of
from skcascade._operating_point import OperatingPoint
from skcascade._search import Search, way_of
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary
from skcascade.policies._features import stage_features
from skcascade.policies._reinforce import ALPHA, chain_price
from skcascade.policies._reinforce_loss import PolicyLoss
from skcascade.policies._reinforce_net import Heads, fit_heads, states
from skcascade.policies._threshold import ThresholdRules, _interpolated
from skcascade.utils._skorch import seeded

from ._draws import TARGETS, Draw
from ._timing import timed

#: The least probability that is told from none.
LEAST = 1e-6
#: Gradient estimates drawn at the same heads.
N_GRADIENTS = 50


class Unsmoothed(ConfidenceThreshold):
    """Thresholds of each price alone, not interpolated between prices."""

    fit_path = ConfidenceThreshold.fit_each


class AllStages(ConfidenceThreshold):
    """Joint thresholds with every stage in use at every price."""

    def _joint(self, trace, losses, cost, alphas, weight, score, smooth):
        rules = ThresholdRules(score, losses, cost.relative(cost.edge_costs_), weight)
        stages = tuple(range(trace.n_stages))
        thresholds, _ = rules.solve(stages, alphas)
        if smooth:
            thresholds = _interpolated(rules, alphas, thresholds, [stages] * len(alphas))
        return [self._at(cuts, stages) for cuts in thresholds]


def top_probability(stage, proba):
    """The largest probability alone."""
    return proba[:, stage].max(axis=1, keepdims=True)


def without_class(stage, proba):
    """The default features but for those that tell which class is the answer."""
    return stage_features(stage, proba)[:, : -proba.shape[2]]


def log_proba(stage, proba):
    """All probabilities of the stage, on a log scale."""
    return np.log(np.clip(proba[:, stage].astype(float), LEAST, 1))


def log_proba_so_far(stage, proba):
    """All probabilities of all stages seen, on a log scale; 0 for a stage that was skipped."""
    seen = np.log(np.clip(proba.astype(float), LEAST, 1))
    return np.nan_to_num(seen).reshape(len(proba), -1)


def boosting():
    """Small, since a search fits it some thousand times; weighted bins take most of a fit."""
    return HistGradientBoostingClassifier(
        learning_rate=0.2, max_iter=15, max_leaf_nodes=4, max_bins=16, early_stopping=False
    )


#: Never a stage alone: what is left of pruning where a search may still take one stage.
ALWAYS_ALL = "always all stages"
EPSILONS = {f"epsilon {epsilon:g}": epsilon for epsilon in (0.01, 0.02, 0.04, 0.08)}
#: Name -> policy. The first of each part is the default.
VARIANTS = {
    "joint": ConfidenceThreshold,
    "joint, unsmoothed": Unsmoothed,
    "per_stage": lambda: ConfidenceThreshold(tuning="per_stage"),
    "all stages or one": AllStages,
    ALWAYS_ALL: AllStages,
    "bare confidence": lambda: ConfidenceThreshold(per_class=False),
    "margin": lambda: ConfidenceThreshold("margin"),
    "entropy": lambda: ConfidenceThreshold("entropy"),
    "weighted": WeightedBinary,
    "weighted, top probability": lambda: WeightedBinary(features=top_probability),
    "weighted, no class": lambda: WeightedBinary(features=without_class),
    "weighted, log proba": lambda: WeightedBinary(features=log_proba),
    "weighted, log proba so far": lambda: WeightedBinary(features=log_proba_so_far),
    "weighted, boosting": lambda: WeightedBinary(boosting()),
} | {
    name: lambda epsilon=epsilon: ConfidenceThreshold(tuning="per_stage", epsilon=epsilon)
    for name, epsilon in EPSILONS.items()
}


def measure(variant, name, n_rows, seed, table):
    """What a variant makes of one draw of the table `name`.

    Returns
    -------
    result : dict
        `points`, (drop, cost) of every candidate on the judging rows; the indices of the
        `front` and of what is chosen at each of TARGETS by the cross-fitted curve (`chosen`)
        and by the curve of the tuning rows themselves (`apparent`); `area`, in points.
    """
    draw = Draw.of(table, n_rows, seed)
    policy = VARIANTS[variant]()
    if "random_state" in policy.get_params():
        policy.set_params(random_state=seed)
    search, seconds = timed(
        lambda: Search.run(policy, draw.trace, draw.y, draw.prices, random_state=seed)
    )
    n_kept = len(search.policies) - (table.trace.n_stages if variant == ALWAYS_ALL else 0)
    search = search._replace(policies=search.policies[:n_kept])
    apparent, judged = (
        replay(search, *rows, draw.prices)
        for rows in ((draw.trace, draw.y), (draw.test, draw.y_test))
    )
    cross_fitted = part_of(search.curve, np.arange(n_kept))
    front = cross_fitted.pareto()
    drop = judged.stage_accuracy.max() - judged.accuracy
    return {
        "points": np.column_stack([drop, judged.relative_cost]),
        "front": front,
        "chosen": choices(cross_fitted),
        "apparent": choices(apparent),
        "area": 100 * part_of(judged, front).area(),
        "seconds": seconds,
    }


def replay(search, trace, y, prices):
    """Curve of the candidates on given rows."""
    losses = trace.losses(y)
    ways = (way_of(trace, policy, losses, prices) for policy in search.policies)
    parameter = search.curve.parameter[: len(search.policies)]
    return curve_of(parameter, ways, losses, prices, np.ones(len(y)))


def part_of(curve, points):
    """The same with fewer points, as far as choosing and the area go."""
    accuracy, cost = curve.accuracy[points], curve.relative_cost[points]
    return replace(curve, accuracy=accuracy, relative_cost=cost)


def choices(curve):
    """Index of the point that each of TARGETS chooses."""
    return [OperatingPoint(max_accuracy_drop=drop).choose(curve) for drop in TARGETS]


DEFAULT_GRADIENT = "leave_one_out, 4 draws"
#: Name -> parameters of `Reinforce`; the mean of the other draws needs others.
GRADIENTS = {DEFAULT_GRADIENT: {}, "exact": {"gradient": "exact"}} | {
    f"{baseline}, {n} draws": {"baseline": baseline, "n_draws": n}
    for baseline in ("leave_one_out", "greedy", "mean", "none")
    for n in (1, 4, 16)
    if (baseline, n) != ("leave_one_out", 1)
}
HIDDEN = (), (16,)


def learn(variant, hidden, name, n_rows, seed, table):
    """Objective at ALPHA on the judging rows.

    Returns
    -------
    result : dict
        `heads`: in expectation over the exits, of heads fitted for that price alone. `policy`:
        of the exits taken by the fitted policy, whose thresholds are placed on the tuning rows.
    """
    draw = Draw.of(table, n_rows, seed)
    settings = Reinforce(hidden=hidden, random_state=seed, **GRADIENTS[variant])
    price, ones = chain_price(draw.prices, table.trace.n_stages), np.ones(n_rows)
    losses, test = draw.trace.losses(draw.y), draw.test.losses(draw.y_test)
    heads = fit_heads(draw.trace.proba, losses, ones, price, ALPHA, settings, seed)
    expected = policy_loss(price).eval()
    with torch.inference_mode():
        stop = heads(states(torch.from_numpy(draw.test.proba)))
        on_test = objective(expected, stop, test).item()
    way = walk(draw.test, settings.fit(draw.trace, draw.y, draw.prices, ALPHA))
    paid = draw.prices.relative(draw.prices.path_cost(way.visited))
    lost = test[np.arange(len(test)), way.exit]
    return {"heads": on_test, "policy": (lost + ALPHA * paid).mean()}


def policy_loss(price, gradient="exact", baseline="none", n_draws=1):
    """Of `skcascade`, at ALPHA and without the bonus for undecided heads."""
    return PolicyLoss(np.asarray(price), ALPHA, gradient, baseline, n_draws, entropy=0.0)


def objective(loss, stop, losses):
    """`loss` of stop logits, for losses (n_samples, n_stages) of the stages."""
    ones = torch.ones(len(losses), dtype=torch.float64)
    return loss((stop, ones), {"lost": torch.from_numpy(losses).double(), "weight": ones})


def noise(hidden, name, n_rows, seed, table):
    """How far estimates of the gradient scatter at the same heads, on all rows of a draw.

    Returns
    -------
    result : dict
        For heads at the `start` and `fitted` (by the exact gradient), and each of GRADIENTS, as
        shares of the squared norm of the exact gradient at the start: the variance, summed over
        the weights; the squared bias of the mean of N_GRADIENTS estimates; and what it is
        expected to be if there is no bias.
    """
    draw = Draw.of(table, n_rows, seed)
    losses, price = draw.trace.losses(draw.y), chain_price(draw.prices, table.trace.n_stages)
    seen = states(torch.from_numpy(draw.trace.proba))
    settings = Reinforce("exact", hidden=hidden)
    with seeded(seed, torch.device("cpu")):
        at = {
            "start": Heads(seen, hidden),
            "fitted": fit_heads(
                draw.trace.proba, losses, np.ones(n_rows), price, ALPHA, settings, seed
            ),
        }
        norm = (gradient(policy_loss(price), at["start"], seen, losses) ** 2).sum()
        return {
            state: {
                variant: scatter(params, heads, seen, losses, price, norm)
                for variant, params in GRADIENTS.items()
            }
            for state, heads in at.items()
        }


def scatter(params, heads, seen, losses, price, norm):
    """Variance and squared biases of one estimator, see :func:`noise`."""
    settings = Reinforce(**params)
    exact = gradient(policy_loss(price), heads, seen, losses)
    if settings.gradient == "exact":
        return 0.0, 0.0, 0.0
    loss = policy_loss(price, settings.gradient, settings.baseline, settings.n_draws)
    drawn = torch.stack([gradient(loss, heads, seen, losses) for _ in range(N_GRADIENTS)])
    variance = drawn.var(dim=0).sum()
    bias = ((drawn.mean(dim=0) - exact) ** 2).sum()
    return tuple((x / norm).item() for x in (variance, bias, variance / N_GRADIENTS))


def gradient(loss, heads, seen, losses):
    """Of `loss` by the weights of all heads, as one vector."""
    parts = torch.autograd.grad(objective(loss.train(), heads(seen), losses), heads.parameters())
    return torch.cat([part.flatten() for part in parts])

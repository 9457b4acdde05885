"""Units of work of the ablations: the numbers of one variant on one draw, for a cache."""

from dataclasses import replace

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingClassifier

from skcascade import walk
from skcascade.policies import ConfidenceThreshold, Reinforce, WeightedBinary
from skcascade.policies._bounds import chain_cost
from skcascade.policies._features import stage_features
from skcascade.policies._interpolation import interpolate
from skcascade.policies._reinforce import ALPHA
from skcascade.policies._reinforce_loss import PolicyLoss
from skcascade.policies._reinforce_net import Heads, fit_heads
from skcascade.policies._states import states
from skcascade.policies._threshold import ThresholdRules
from skcascade.tuning._build_curve import build_curve, measure_outcome
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._search import Search, compute_outcome
from skcascade.utils._skorch import torch_seed

from ._draws import TARGETS, Draw
from ._timing import timed

#: Smaller probabilities count as this one.
LEAST = 1e-6
#: Number of gradient estimates drawn at the same heads.
N_GRADIENTS = 50


class Unsmoothed(ConfidenceThreshold):
    """Thresholds of each alpha alone, not interpolated between alphas."""

    def fit_alphas(self, trace, y, cost, alphas, sample_weight=None):
        """Fit one alpha at a time."""
        fit = super().fit_alphas
        return [fit(trace, y, cost, [alpha], sample_weight)[0] for alpha in alphas]


class AllStages(ConfidenceThreshold):
    """Joint thresholds with every stage in use at every alpha."""

    def _joint(self, trace, losses, cost, alphas, weight, score):
        rules = ThresholdRules(score, losses, cost.relative(cost.edge_costs_), weight)
        stages = [tuple(range(trace.n_stages))] * len(alphas)
        thresholds, _ = rules.solve(stages[0], alphas)
        return self._copies(interpolate(rules, alphas, thresholds, stages), stages)


def top_probability(stage, proba):
    """The largest probability alone."""
    return proba[:, stage].max(axis=1, keepdims=True)


def without_class(stage, proba):
    """The default features without those of the predicted class."""
    return stage_features(stage, proba)[:, : -proba.shape[2]]


def log_proba(stage, proba):
    """All probabilities of the stage, on a log scale."""
    return np.log(np.clip(proba[:, stage].astype(float), LEAST, 1))


def log_proba_so_far(stage, proba):
    """All probabilities of all stages seen, on a log scale; 0 for a stage that was skipped."""
    seen = np.log(np.clip(proba.astype(float), LEAST, 1))
    return np.nan_to_num(seen).reshape(len(proba), -1)


def boosting():
    """A small model: a search fits it some thousand times, and most of a fit is binning."""
    return HistGradientBoostingClassifier(
        learning_rate=0.2, max_iter=15, max_leaf_nodes=4, max_bins=16, early_stopping=False
    )


#: The same without the candidates that are a stage alone.
ALWAYS_ALL = "always all stages"
EPSILONS = {f"epsilon {epsilon:g}": epsilon for epsilon in (0.01, 0.02, 0.04, 0.08)}
#: Name -> policy. The first of each part is the default.
VARIANTS = {
    "joint": ConfidenceThreshold,
    "joint, unsmoothed": Unsmoothed,
    "per_stage": lambda: ConfidenceThreshold(tuning="per_stage"),
    "all stages or one": AllStages,
    ALWAYS_ALL: AllStages,
    "uncalibrated confidence": lambda: ConfidenceThreshold(per_class=False),
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
    """Results of a variant on one draw of the table `name`.

    Returns
    -------
    result : dict
        `points`: (drop, cost) of every candidate on the evaluation rows. `front`, `chosen` and
        `apparent`: indices of the points on the cross-fitted front, and of those chosen at each of
        TARGETS by the cross-fitted curve and by the curve of the tuning rows themselves. `area`:
        in points of accuracy.
    """
    draw = Draw.of(table, n_rows, seed)
    policy = VARIANTS[variant]()
    if "random_state" in policy.get_params():
        policy.set_params(random_state=seed)
    search, seconds = timed(
        lambda: Search.run(policy, draw.trace, draw.y, draw.cost, random_state=seed)
    )
    n_kept = len(search.policies) - (table.trace.n_stages if variant == ALWAYS_ALL else 0)
    search = search._replace(policies=search.policies[:n_kept])
    apparent, evaluated = (
        replay(search, *rows, draw.cost)
        for rows in ((draw.trace, draw.y), (draw.test, draw.y_test))
    )
    cross_fitted = part_of(search.curve, np.arange(n_kept))
    front = cross_fitted.pareto()
    drop = evaluated.stage_accuracy.max() - evaluated.accuracy
    return {
        "points": np.column_stack([drop, evaluated.relative_cost]),
        "front": front,
        "chosen": choices(cross_fitted),
        "apparent": choices(apparent),
        "area": 100 * part_of(evaluated, front).area(),
        "seconds": seconds,
    }


def replay(search, trace, y, cost):
    """Curve of the candidates on given rows."""
    losses, weight = trace.losses(y), np.ones(len(y))
    outcomes = (compute_outcome(trace, policy, losses, cost) for policy in search.policies)
    points = [measure_outcome(*outcome, weight, trace.n_stages) for outcome in outcomes]
    parameter = search.curve.parameter[: len(search.policies)]
    return build_curve(parameter, points, losses, cost, weight)


def part_of(curve, points):
    """The same with fewer points; valid for the choice of a point and for the area."""
    accuracy, cost = curve.accuracy[points], curve.relative_cost[points]
    return replace(curve, accuracy=accuracy, relative_cost=cost)


def choices(curve):
    """Index of the point that each of TARGETS chooses."""
    return [OperatingPoint(max_accuracy_drop=drop).choose(curve) for drop in TARGETS]


DEFAULT_GRADIENT = "leave_one_out, 4 draws"
#: Name -> parameters of `Reinforce`. "leave_one_out" needs several draws.
GRADIENTS = {DEFAULT_GRADIENT: {}, "exact": {"gradient": "exact"}} | {
    f"{baseline}, {n} draws": {"baseline": baseline, "n_draws": n}
    for baseline in ("leave_one_out", "greedy", "mean", "none")
    for n in (1, 4, 16)
    if (baseline, n) != ("leave_one_out", 1)
}
HIDDEN = (), (16,)


def learn(variant, hidden, name, n_rows, seed, table):
    """Objective at ALPHA on the evaluation rows.

    Returns
    -------
    result : dict
        `heads`: in expectation over the exits, of heads fitted for that alpha alone. `policy`:
        at the exits of the fitted policy, whose thresholds are tuned on the tuning rows.
    """
    draw = Draw.of(table, n_rows, seed)
    settings = Reinforce(hidden=hidden, random_state=seed, **GRADIENTS[variant])
    route_cost, ones = chain_cost(draw.cost, table.trace.n_stages), np.ones(n_rows)
    losses, test = draw.trace.losses(draw.y), draw.test.losses(draw.y_test)
    heads = fit_heads(draw.trace.proba, losses, ones, route_cost, ALPHA, settings, seed)
    expected = policy_loss(route_cost).eval()
    with torch.inference_mode():
        stop = heads(states(torch.from_numpy(draw.test.proba)))
        on_test = objective(expected, stop, test).item()
    route = walk(draw.test, settings.fit(draw.trace, draw.y, draw.cost, ALPHA))
    spent = draw.cost.relative(draw.cost.path_cost(route.visited))
    loss = test[np.arange(len(test)), route.exit]
    return {"heads": on_test, "policy": (loss + ALPHA * spent).mean()}


def policy_loss(route_cost, gradient="exact", baseline="none", n_draws=1):
    """The loss of `Reinforce`, at ALPHA and without the bonus for undecided heads."""
    return PolicyLoss(np.asarray(route_cost), ALPHA, gradient, baseline, n_draws, entropy=0.0)


def objective(loss, stop, losses):
    """`loss` of stop logits, for losses (n_samples, n_stages) of the stages."""
    ones = torch.ones(len(losses), dtype=torch.float64)
    return loss((stop, ones), {"losses": torch.from_numpy(losses).double(), "weight": ones})


def noise(hidden, name, n_rows, seed, table):
    """Variance of estimates of the gradient at the same heads, on all rows of a draw.

    Returns
    -------
    result : dict
        For heads at the `start` and `fitted` (by the exact gradient), and each of GRADIENTS:
        the variance, summed over the weights; the squared bias of the mean of N_GRADIENTS
        estimates; and its expectation if there is no bias. All are shares of the squared norm
        of the exact gradient at the start.
    """
    draw = Draw.of(table, n_rows, seed)
    losses = draw.trace.losses(draw.y)
    route_cost = chain_cost(draw.cost, table.trace.n_stages)
    seen = states(torch.from_numpy(draw.trace.proba))
    settings = Reinforce("exact", hidden=hidden)
    with torch_seed(seed, torch.device("cpu")):
        at = {
            "start": Heads(seen, hidden),
            "fitted": fit_heads(
                draw.trace.proba, losses, np.ones(n_rows), route_cost, ALPHA, settings, seed
            ),
        }
        norm = (gradient(policy_loss(route_cost), at["start"], seen, losses) ** 2).sum()
        return {
            state: {
                variant: scatter(params, heads, seen, losses, route_cost, norm)
                for variant, params in GRADIENTS.items()
            }
            for state, heads in at.items()
        }


def scatter(params, heads, seen, losses, route_cost, norm):
    """Variance and squared biases of one estimator, see :func:`noise`."""
    settings = Reinforce(**params)
    exact = gradient(policy_loss(route_cost), heads, seen, losses)
    if settings.gradient == "exact":
        return 0.0, 0.0, 0.0
    loss = policy_loss(route_cost, settings.gradient, settings.baseline, settings.n_draws)
    drawn = torch.stack([gradient(loss, heads, seen, losses) for _ in range(N_GRADIENTS)])
    variance = drawn.var(dim=0).sum()
    bias = ((drawn.mean(dim=0) - exact) ** 2).sum()
    return tuple((x / norm).item() for x in (variance, bias, variance / N_GRADIENTS))


def gradient(loss, heads, seen, losses):
    """Gradient of `loss` by the weights of all heads, as one vector."""
    parts = torch.autograd.grad(objective(loss.train(), heads(seen), losses), heads.parameters())
    return torch.cat([part.flatten() for part in parts])

"""Does the monitor notice JPEG images instead of exact pixels, and is it quiet without a change?

Predictions of four ResNets on CIFAR-10 test images are recorded twice: on exact pixels, and on JPEG
images, on which the nets are about ten points less accurate. Rows come in random order, and no
row is both held out and fed. Policies are tuned on the very rows that are held out. "One test" is
the share of splits in which a single test of all rows at the end would have rejected. It shows what
so few held-out rows can tell, at the best time to test.
"""

import numpy as np

from skcascade import ExitMonitor, fit_policy
from skcascade.policies import ConfidenceThreshold, WeightedBinary
from skcascade.stats._sequential_fisher import fisher_exact

from ._data import recorded_resnets, split
from ._report import seeds, verdict

BATCH = 50
RATES = 0.01, 0.1
#: At the first, the first net nearly always defers 5 to 20 % of exact rows; at the second, often
#: fewer.
TARGETS = {"max_cost": 0.5}, {"max_accuracy_drop": 0.005}


def add_arguments(parser):
    """Options of this benchmark."""
    parser.add_argument("--seeds", type=int, help="splits (default 100, with skipping 20)")
    parser.add_argument("--streams", type=int, help="streams without a shift (default 200)")


def run(args):
    """Exact and JPEG images against an exact reference; then false alarms."""
    exact, jpeg = recorded_resnets("test_exact"), recorded_resnets("test_jpeg")
    many = args.seeds or (3 if args.quick else 100)
    few = args.seeds or (1 if args.quick else 20)
    n_exact = len(exact.y)
    for n_held_out in (n_exact // 2, n_exact):
        for target in TARGETS:
            yield from shift(exact, jpeg, thresholds, many, target, n_held_out)
    yield from shift(exact, jpeg, skipping, few, TARGETS[0], n_exact // 2)
    n_streams = args.streams or (5 if args.quick else 200)
    yield from quiet(jpeg, n_streams, TARGETS[0])


def thresholds(seed):
    """The default policy."""
    return ConfidenceThreshold()


def skipping(seed):
    """A learned policy that may skip stages."""
    return WeightedBinary(skip=True, random_state=seed)


def shift(exact, jpeg, make, n_seeds, target, n_held_out, rate=0.01):
    """Reference: some of the exact rows. Fed: the others, if there are any, and JPEG images."""
    fed = {"exact, others": [], "JPEG": []} if n_held_out < len(exact.y) else {"JPEG": []}
    alone, ceiling = 0, {name: [] for name in fed}
    for seed in range(n_seeds):
        held_out, others = split(len(exact.y), n_held_out, seed)
        policy = tuned(exact, held_out, make(seed), seed, target)
        if len(policy.stages_) == 1:  # nothing to test
            alone += 1
            continue
        reference = exact.trace.rows(held_out)
        to_feed = {
            "exact, others": (exact, others),
            "JPEG": (jpeg, split(len(jpeg.y), 0, seed)[1]),
        }
        for name in fed:
            table, rows = to_feed[name]
            monitor = ExitMonitor(policy, reference, false_alarm_rate=rate)
            fed[name].append(stream(monitor, table.trace, rows))
            ceiling[name].append(one_test(policy, reference, table.trace.rows(rows), rate))
    for name, monitors in fed.items():
        yield {
            "policy": type(make(0)).__name__,
            "tuned for": words(target),
            "held out": f"{len(held_out)} exact",
            "fed": name,
            "up to rows": len(others) if name != "JPEG" else len(jpeg.y),
            "seeds": seeds(n_seeds),
            "one stage only": alone,
            "rate": rate,
            **alarms(monitors, rate, moved=name == "JPEG"),
            "one test": float(np.mean(ceiling[name])),
        }


def quiet(jpeg, n_streams, target, n_held_out=3_000):
    """JPEG images against other JPEG images."""
    monitors, alone = {rate: [] for rate in RATES}, 0
    for seed in range(n_streams):
        held_out, others = split(len(jpeg.y), n_held_out, seed)
        policy = tuned(jpeg, held_out, ConfidenceThreshold(), seed, target)
        if len(policy.stages_) == 1:
            alone += 1
            continue
        for rate in RATES:
            monitor = ExitMonitor(policy, jpeg.trace.rows(held_out), false_alarm_rate=rate)
            monitors[rate].append(stream(monitor, jpeg.trace, others))
    for rate in RATES:
        yield {
            "policy": "ConfidenceThreshold",
            "tuned for": words(target),
            "held out": f"{n_held_out} JPEG",
            "fed": "JPEG, other rows",
            "up to rows": len(others),
            "seeds": seeds(n_streams),
            "one stage only": alone,
            "rate": rate,
            **alarms(monitors[rate], rate, moved=False),
        }


def tuned(table, rows, policy, seed, target):
    """`policy` tuned on `rows`."""
    return fit_policy(
        policy,
        table.trace.rows(rows),
        table.y[rows],
        cost=table.cost,
        random_state=seed,
        **target,
    )


def stream(monitor, trace, rows):
    """Feed batches of `rows` up to the first alarm."""
    for start in range(0, len(rows), BATCH):
        monitor.walk(trace.rows(rows[start : start + BATCH]))
        if monitor.alarm:
            break
    return monitor


def one_test(policy, reference, trace, rate):
    """Whether any rate over the whole `trace` differs, tested once."""
    monitor = ExitMonitor(policy, reference)
    monitor.walk(trace)
    found = [
        fisher_exact(*monitor.held_out.rate(*key), *monitor.seen.rate(*key))
        for key in monitor.rates
    ]
    return min(found) <= rate / len(found)


def words(target):
    """An operating point as it is written in code."""
    ((name, value),) = target.items()
    return f"{name}={value:g}"


def alarms(monitors, rate, moved):
    """Share of the monitors with an alarm, rows up to it, and the rate that raised it."""
    raised = [monitor for monitor in monitors if monitor.alarm]
    share = len(raised) / max(1, len(monitors))
    rows = [monitor.n_samples if monitor.alarm else np.inf for monitor in monitors]
    first = [monitor.events[0] for monitor in raised]
    kinds = [
        ("exit of " if event.source is None else "agreement at ") + event.stage for event in first
    ]
    common = max(set(kinds), key=kinds.count) if kinds else ""
    middle, high = np.quantile(rows, [0.5, 0.9], method="higher") if rows else (np.nan, np.nan)
    return {
        "alarms": share,
        "asked": "1" if moved else f"<= {rate:g}",
        "met": verdict(1.0, share) if moved else verdict(share, rate),
        "rows to alarm, median": _rows(middle) if moved else "",
        "9 of 10 within": _rows(high) if moved else "",
        "mostly first": f"{common} ({kinds.count(common)})" if kinds else "",
    }


def _rows(n):
    """Rows until an alarm; "never" where there was none."""
    return float(n) if np.isfinite(n) else "never"

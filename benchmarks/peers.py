"""Published rules and other packages at the same targets: cost, drop, and where ours is costlier.

Every peer is tuned on the rows of a draw and evaluated on all others, at each of TARGETS. The
verdict compares mean costs at equal mean drop: ours is read off the line through the mean points of
our default at `FINE` targets, at the mean drop of the peer. Ours is more expensive there if the
difference exceeds one standard error, by a bootstrap over the draws. Beyond our line there is no
verdict.

Rules for a chain of stages get the stages up to the best one on the rows tuned on. A more expensive
and less accurate last stage would be no fair comparison; `--end last` gives them all.

Results are kept in `--cache`, which environments share: run the peers of each environment in it,
then all of them, with `--json`, in any one. The seconds are those of one target, tuned alone.
"""

import hashlib
import inspect
import warnings
from importlib.util import find_spec
from pathlib import Path

import joblib
import numpy as np

import skcascade
from skcascade import walk
from skcascade.exceptions import CascadeWarning
from skcascade.policies import ConfidenceThreshold
from skcascade.tuning._operating_point import OperatingPoint
from skcascade.tuning._tuning import Tuning

from ._draws import TARGETS, Draw, chosen, mean_and_error
from ._draws import add_arguments as add_draws
from ._packages import PACKAGES
from ._peer import LEVEL, Answers, Chain, Peer, best_stage, measure, up_to
from ._report import seeds
from ._rules import RULES
from ._timing import timed

#: The expensive end of our line: the best stage alone, and the most accurate point.
ALONE, MOST_ACCURATE = "alone", "most accurate"
#: The points of our line: those, and targets.
FINE = ALONE, MOST_ACCURATE, *sorted({*TARGETS, 0.001, 0.0075, 0.015, 0.03, 0.04, 0.05, 0.07})
N_BOOTSTRAP = 1_000


class Ours(Peer):
    """`fit_policy` with the default policy; certified, if a level is given."""

    def __init__(self, level=None):
        self.level = level
        self.targets = TARGETS if level else FINE
        self.cannot = ("run a service before the first one in use", "combine predictions")
        self.cannot += () if level else ("guarantee the drop without `confidence_level`",)

    def prepare(self, draw):
        """One search serves all targets."""
        tuning = Tuning(
            ConfidenceThreshold(), draw.trace, draw.y, draw.cost, random_state=draw.seed
        )
        tuning.search(self.level is not None)
        return tuning

    def choose(self, prepared, target):
        """The point for one target."""
        if target == ALONE:
            policy = prepared.search().policies[prepared.search().reference]
        else:
            asked = {"alpha": 0.0} if target == MOST_ACCURATE else {"max_accuracy_drop": target}
            with warnings.catch_warnings():  # one says that nothing is certified
                warnings.simplefilter("ignore", CascadeWarning)
                policy, *_ = prepared.fit(OperatingPoint(**asked), self.level)

        def answers(trace):
            route = walk(trace, policy)
            return Answers(route.proba.argmax(axis=1), route.visited)

        return answers


OURS, CERTIFIED = "ours", "ours, certified"
PEERS = {OURS: Ours(), CERTIFIED: Ours(LEVEL)} | RULES | PACKAGES


def add_arguments(parser):
    """Options of this benchmark."""
    add_draws(parser)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=list(PEERS))
    parser.add_argument(
        "--end", default="best", choices=["best", "last"], help="the stage where chains end"
    )
    parser.add_argument("--cache", default="benchmark-cache", help="folder of finished draws")


def run(args):
    """For each table the points of all peers, then the verdicts; last the limits of each peer."""
    tables, n_draws = chosen(args)
    work = joblib.Memory(args.cache, verbose=0).cache(one_draw, ignore=["table"])
    missing = set()
    for table in tables:
        found = {}
        for name in dict.fromkeys([OURS, *args.peers]):
            end = args.end if isinstance(PEERS[name], Chain) else "last"
            found[name] = all_draws(work, table, name, args.rows, end, n_draws)
            if found[name] is None:
                missing.add(name)
            elif name in args.peers:
                yield from points(table.name, name, found[name], args.rows)
        for name in found:
            if name != OURS and found[name] is not None:
                yield verdict(table.name, name, found[OURS][0], found[name][0])
    for name in args.peers:
        if name in missing:
            yield {"peer": name, "note": f"not installed: pip install {PEERS[name].requirement}"}
    for name in args.peers:
        yield {"peer": f"{name:<16}", "what it cannot do": "; ".join(PEERS[name].cannot)}


def all_draws(work, table, name, n_rows, end, n_draws):
    """Drop and cost (n_draws, n_targets, 2), and seconds; None where the package is missing."""
    what = table, table.name, name, code_of(name), n_rows, end
    calls = [(*what, seed) for seed in range(n_draws)]
    module = PEERS[name].module
    if module is not None and find_spec(module) is None:
        if not all(work.check_call_in_cache(*call) for call in calls):
            return None
    done = [work(*call) for call in calls]
    return tuple(np.array([one[key] for one in done]) for key in ("points", "seconds"))


def code_of(name):
    """A digest of the code behind cached results, so that changed code runs again."""
    peer = PEERS[name]
    if isinstance(peer, Ours):
        files = sorted(Path(skcascade.__file__).parent.rglob("*.py"))
        code = "".join(path.read_text() for path in files) + inspect.getsource(Ours)
    else:
        code = "".join(inspect.getsource(kind) for kind in type(peer).__mro__[:-1])
    code += repr(peer.targets)
    return hashlib.sha256(code.encode()).hexdigest()[:16]


def one_draw(table, table_name, name, code, n_rows, end, seed):
    """Drop, relative cost and seconds at each target; plain lists, for any version of NumPy."""
    draw, peer = Draw.of(table, n_rows, seed), PEERS[name]
    n_stages = draw.trace.n_stages if end == "last" else max(2, best_stage(draw) + 1)
    part = up_to(draw, n_stages)
    prepared, shared = timed(lambda: peer.prepare(part))
    points, seconds = [], []
    for target in peer.targets:
        answers, own = timed(lambda target=target: peer.choose(prepared, target))
        label, visited = answers(part.test)
        visited = np.pad(visited, ((0, 0), (0, draw.trace.n_stages - n_stages)))
        point = measure(Answers(label, visited), draw.test, draw.y_test, draw.cost)
        points.append([float(value) for value in point])
        seconds.append(shared + own)
    return {"points": points, "seconds": seconds}


def points(table, name, found, n_rows):
    """One row for each target."""
    all_points, all_seconds = found
    targets = PEERS[name].targets
    for i in (targets.index(target) for target in TARGETS):
        drop, cost = all_points[:, i].T
        yield {
            "data": f"{table:<18}",
            "peer": f"{name:<16}",
            "rows": n_rows,
            "seeds": seeds(len(drop)),
            "target": targets[i],
            "relative cost": mean_and_error(cost),
            "accuracy drop": mean_and_error(drop, 5, "+"),
            "draws above": float(np.mean(drop > targets[i] + 1e-12)),
            "seconds": float(np.median(all_seconds[:, i])),
            "_cost": float(cost.mean()),
            "_drop": float(drop.mean()),
        }


def verdict(table, name, ours, peer):
    """At which targets of the peer ours is more expensive at its mean drop."""
    drawn = np.random.default_rng(0).integers(len(ours), size=(N_BOOTSTRAP, len(ours)))
    pairs = [(ours[rows].mean(axis=0), peer[rows].mean(axis=0)) for rows in drawn]
    error = np.std([excess(*pair) for pair in pairs], axis=0) if len(ours) > 1 else np.nan
    line, means = ours.mean(axis=0), peer.mean(axis=0)
    more, beyond = excess(line, means), outside(line, means)
    error = np.broadcast_to(error, more.shape)
    costlier = ~beyond & (more > error)
    worst = int(np.where(beyond, -np.inf, more).argmax())
    known = not beyond.all()
    return {
        "data": f"{table:<18}",
        "against": f"{name:<16}",
        "ours dearer at": f"{text(costlier):<30}",  # words: ok
        "beyond our line": f"{text(beyond):<30}",
        "at worst": f"{more[worst]:+.4f} +- {error[worst]:.4f}" if known else "-",
        "at target": TARGETS[worst] if known else "-",
        "_more": [None if out else float(value) for value, out in zip(more, beyond)],
        "_error": [float(value) for value in error],
    }


def excess(ours, peer):
    """Our mean cost less the peer's at the peer's mean drops (n_targets,)."""
    drop, cost = front(ours)
    return np.interp(peer[:, 0], drop, cost) - peer[:, 1]


def outside(ours, peer):
    """Whether our line has no point of the same drop.

    Where a peer has a larger drop than our cheapest point, and costs more, that point beats it.
    """
    drop, cost = front(ours)
    return (peer[:, 0] < drop[0]) | ((peer[:, 0] > drop[-1]) & (peer[:, 1] < cost[-1]))


def front(points):
    """Drop and cost of the points that no other beats, by rising drop and falling cost."""
    drop, cost = points[np.lexsort((points[:, 1], points[:, 0]))].T
    kept = np.r_[True, cost[1:] < np.minimum.accumulate(cost)[:-1]]
    return drop[kept], cost[kept]


def text(mask):
    """The targets of a mask."""
    return ", ".join(f"{target:g}" for target, one in zip(TARGETS, mask) if one) or "none"

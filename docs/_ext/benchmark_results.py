"""Tables and figures of docs/benchmarks.rst, generated from the files in benchmarks/results.

`.. benchmark-table:: NAME` is the table that the function NAME returns: a list of rows of cells,
the heading first. Figures are functions, too, which the plot directive calls.
"""

import json
from functools import cache
from pathlib import Path
from statistics import fmean, geometric_mean, median, stdev

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
#: Name of a table of recorded predictions -> its name on the page, in this order.
DATA = {
    "expw": "expw",
    "ferplus": "ferplus",
    "yelp": "yelp",
    "command": "command",
    "digit": "digit",
    "waimai": "waimai",
    "cifar10": "nets",
    "resnets_test_jpeg": "ResNets",
    "trained_cifar10": "cascade",
    "trained_fashion_mnist": "fashion",
    "digits": "digits (sim.)",
}
#: Target at which costs and drops are shown.
SHOWN = 0.01
#: Words in the files of results -> words of the page. The files keep those of their time.
WORDS = {
    "dearer": "more expensive",  # words: ok
    '"dial"': '"chosen"',  # words: ok
    '"dial 0': '"chosen at 0',  # words: ok
    "its dial is": "its parameter is",  # words: ok
    "coin toss": "random mixture",  # words: ok
    "worth its price": "worth its cost",  # words: ok
    "know prices": "use costs",  # words: ok
    "one price": "one alpha",  # words: ok
    "bare confidence": "uncalibrated confidence",  # words: ok
    "threshold, bare": "threshold, uncalibrated",
    "bare members": "members alone",
    "bare blocks": "blocks alone",
    "leave out a stage": "omit a stage",
    "say how sure the drop is": "guarantee the drop",
    "call a service that lies before": "run a service before",
    "count what the cascade gets right": "count samples on which the cascade is right",
    "mix answers": "combine predictions",
    "answer after one stage": "exit after one stage",
    "members answer all samples": "members run on all samples",
}


@cache
def results(name):
    """The rows of a benchmark, in the words of the page."""
    text = (RESULTS / f"{name}.json").read_text()
    for old, new in WORDS.items():
        text = text.replace(old, new)
    return json.loads(text)["results"]


def provenance(name):
    """Command, date and versions of a file: a table of one row."""
    record = json.loads((RESULTS / f"{name}.json").read_text())
    versions = ", ".join(f"{package} {version}" for package, version in record["versions"].items())
    return [
        ["command", "date", "versions"],
        [f"``{record['command']}``", record["date"][:10], versions],
    ]


def grid(rows, row, column, cell, corner=""):
    """Rows of results as a table with a row for each `row` and a column for each `column`."""
    found = {(one[row], one[column]): cell(one) for one in rows}
    lines = list(dict.fromkeys(one[row] for one in rows))
    columns = [key for key in DATA if any(key == c for _, c in found)] or list(
        dict.fromkeys(one[column] for one in rows)
    )
    heading = [corner, *(DATA.get(key, str(key)) for key in columns)]
    return [
        heading,
        *([DATA.get(k, str(k)), *(found.get((k, c), "") for c in columns)] for k in lines),
    ]


# Peers -------------------------------------------------------------------------------


def where_cheaper():
    """Peers that are cheaper than the default at equal drop, on average over draws."""
    rows = [
        [DATA[one["data"]], one["against"], one["ours more expensive at"], one["at worst"]]
        for one in results("peers")
        if "against" in one and one["ours more expensive at"] != "none"
        if one["against"] != "ours, certified"
    ]
    return [["table", "cheaper", "at its targets", "by (relative cost)"], *rows]


def verdicts():
    """Number of comparisons in which ours is cheaper than a peer, level, or more expensive."""
    rows = [one for one in results("peers") if "against" in one]
    table = []
    for peer in dict.fromkeys(one["against"] for one in rows if one["against"][:4] != "ours"):
        pairs = [
            pair
            for one in rows
            if one["against"] == peer
            for pair in zip(one["more"], one["error"])
        ]
        known = [(more, error) for more, error in pairs if more is not None]
        cheaper, costlier = (sum(sign * more > error for more, error in known) for sign in (-1, 1))
        counts = cheaper, len(known) - cheaper - costlier, costlier, len(pairs) - len(known)
        table.append([peer, *map(str, counts)])
    total = [str(sum(map(int, column))) for column in list(zip(*table))[1:]]
    heading = ["ours against", "cheaper", "level", "more expensive", "beyond our line"]
    return [heading, *table, ["*all*", *total]]


def peers_at_a_point():
    """Relative cost and drop of every peer at one target."""
    rows = [one for one in results("peers") if one.get("target") == SHOWN]
    return grid(rows, "peer", "data", _cost_and_drop("cost", "drop"), f"target {SHOWN}")


def peers_violations():
    """Share of draws above the target, mean over the tables, and seconds to tune."""
    points = [one for one in results("peers") if "target" in one]
    targets = sorted({one["target"] for one in points})
    lines = []
    for peer in dict.fromkeys(one["peer"] for one in points):
        mine = [one for one in points if one["peer"] == peer]
        shares = [fmean(one["draws above"] for one in mine if one["target"] == t) for t in targets]
        seconds = median(one["seconds"] for one in mine)
        lines.append([peer, *(f"{share:.0%}" for share in shares), f"{seconds:.2g}"])
    return [["draws above the target of", *map(str, targets), "seconds"], *lines]


def peers_limits():
    """The limits of each peer."""
    rows = [one for one in results("peers") if "what it cannot do" in one]
    return [["peer", "cannot"], *([one["peer"], one["what it cannot do"]] for one in rows)]


def peers_figure():
    """Drop and relative cost of all peers with relative costs below 1, a panel for each table."""
    import matplotlib.pyplot as plt

    points = [one for one in results("peers") if "target" in one]
    tables = [name for name in DATA if any(one["data"] == name for one in points)]
    peers = [peer for peer in dict.fromkeys(one["peer"] for one in points) if "DES" not in peer]
    styles = {peer: {"color": f"C{i % 10}", "lw": 1} for i, peer in enumerate(peers)}
    for peer in peers[10:]:
        styles[peer] |= {"ls": "--", "marker": "s"}
    for peer, line in ("ours", "-"), ("ours, certified", ":"):
        styles[peer] = {"color": "black", "lw": 2.5, "zorder": 9, "ls": line}
    n_lines = -(-len(tables) // 3)
    figure, axes = plt.subplots(
        n_lines, 3, figsize=(9, 3 * n_lines), layout="constrained", sharex=True, sharey=True
    )
    for ax, table in zip(axes.flat, tables):
        for peer, style in styles.items():
            mine = [one for one in points if one["data"] == table and one["peer"] == peer]
            drop, cost = [100 * one["drop"] for one in mine], [one["cost"] for one in mine]
            ax.plot(drop, cost, **({"marker": "o", "ms": 3, "label": peer} | style))
        ax.set(title=DATA[table], xlim=(-1.5, 3), ylim=(0, 1.25))
    for ax in axes.flat[len(tables) - 3 : len(tables)]:
        ax.tick_params(labelbottom=True)
    for ax in axes.flat[len(tables) :]:
        ax.set_axis_off()
    axes[-1, 0].set_xlabel("accuracy drop below the best stage (points)")
    axes[1, 0].set_ylabel("relative cost")
    lines = axes.flat[0].get_legend_handles_labels()
    figure.legend(*lines, loc="outside lower center", ncols=5, frameon=False)


# Policies ----------------------------------------------------------------------------


def policies_at_a_point():
    """Relative cost and drop of every policy at one target."""
    rows = [one for one in results("policies") if one.get("max drop") == SHOWN]
    cell = _cost_and_drop("mean cost", "mean drop")
    return grid(rows, "policy", "data", cell, f"at {SHOWN}")


def policies_over_target():
    """Share of draws above the target."""
    rows = [one for one in results("policies") if one["part"] == "chosen"]
    targets = sorted({one["max drop"] for one in rows})
    lines = []
    for policy in dict.fromkeys(one["policy"] for one in rows):
        mine = [one for one in rows if one["policy"] == policy]
        shares = [
            fmean(one["over target"] for one in mine if one["max drop"] == t) for t in targets
        ]
        lines.append([policy, *(f"{share:.0%}" for share in shares)])
    return [["max_accuracy_drop", *map(str, targets)], *lines]


def policies_areas():
    """Area of every policy, of random mixtures of two stages, and of the oracle."""
    rows = [one for one in results("policies") if one["part"] == "curve"]
    table = grid(rows, "policy", "data", lambda one: f"{one['mean line']:.2f}", "area (points)")
    first = {one["data"]: one for one in rows}
    for name in ("random mixture", "oracle"):
        table.append([f"*{name}*", *(f"{first[key][name]:.2f}" for key in DATA if key in first)])
    return table


def policies_against_default(name="policies"):
    """Mean difference in area to the default policy, with its error and p-value."""
    rows = [one for one in results(name) if "mean more line" in one]

    def cell(one):
        p = one["p line"]
        stars = "" if p is None or p > 0.05 else "\\*" if p > 0.001 else "\\*\\*"
        return f"{one['mean more line']:+.2f} ± {one['more line error']:.2f}{stars}"

    return grid(rows, "policy", "data", cell, "area gained")


# Ablations ---------------------------------------------------------------------------


def ablations():
    """Gain in area of each variant, and its extra cost at a drop of a point; means over tables."""
    rows = results("ablations")
    lines = []
    for one in (row for row in rows if "tables" in row):
        mine = [r for r in rows if "areas" in r and r["variant"] == one["variant"]]
        more = [r["more at equal drop"][r["targets"].index(SHOWN)] for r in mine]
        default = next(key for key in one if key.startswith("gained on "))
        lines.append(
            [
                one["part"],
                one["variant"],
                default.removeprefix("gained on "),
                f"{one[default]:+.2f} ± {one['standard error']:.2f}",
                f"{one['better']}, {one['worse']} of {one['tables']}",
                f"{fmean(x for x in more if x is not None):+.3f}",
            ]
        )
    heading = [
        "part",
        "variant",
        "against",
        "area gained",
        "better, worse",
        "extra cost at a point",
    ]
    return [heading, *lines]


def what_the_class_tells():
    """Areas with and without the predicted class: differences on the same draws."""
    areas = {
        (one["variant"], one["data"]): one["areas"]
        for one in results("ablations")
        if "areas" in one
    }
    pairs = [
        ("weighted, no class", "uncalibrated confidence"),
        ("weighted", "uncalibrated confidence"),
        ("joint", "uncalibrated confidence"),
        ("weighted", "joint"),
    ]
    rows = [
        {"pair": f"{more} - {less}", "data": table, "more": differences(areas, more, less, table)}
        for more, less in pairs
        for table in DATA
        if (more, table) in areas
    ]
    return grid(rows, "pair", "data", lambda one: one["more"], "area gained")


def cost_with_the_class():
    """Cost and search time of the default, over those of uncalibrated thresholds."""
    found = {
        (one["variant"], one["data"]): one
        for one in results("ablations")
        if one["part"] == "confidence" and "areas" in one
    }
    tables = [table for table in DATA if ("joint", table) in found]
    pairs = [
        [found[name, table] for name in ("joint", "uncalibrated confidence")] for table in tables
    ]
    costs = [zip(*(one["cost at equal drop"] for one in pair)) for pair in pairs]
    ratios = [geometric_mean(a / b for a, b in both if a and b) for both in costs]
    seconds = [one["search s"] / other["search s"] for one, other in pairs]
    return [
        ["default : uncalibrated confidence", *(DATA[table] for table in tables)],
        ["cost at equal drop", *(f"{ratio:.2f}" for ratio in ratios)],
        ["seconds of the search", *(f"{ratio:.2f}" for ratio in seconds)],
    ]


def differences(areas, more, less, table):
    """Mean difference on the draws that both have, and its standard error."""
    found = [a - b for a, b in zip(areas[more, table], areas[less, table])]
    return f"{fmean(found):+.2f} ± {stdev(found) / len(found) ** 0.5:.2f}"


def cross_fitting():
    """Operating points chosen on the cross-fitted curve and on the apparent one."""
    rows = [one for one in results("ablations") if one["part"] == "cross-fitting"]
    lines = []
    for key in dict.fromkeys((one["policy"], one["target"]) for one in rows):
        mine = [one for one in rows if (one["policy"], one["target"]) == key]
        cells = []
        for kind in ("cross-fitted", "apparent"):
            over, cost = (
                fmean(one[f"{kind}: {what}"] for one in mine) for what in ("over", "cost")
            )
            cells += [f"{over:.0%}", f"{cost:.3f}"]
        lines.append([*map(str, key), *cells])
    heading = ["policy", "target", "over: cross-fitted", "cost", "over: apparent", "cost"]
    return [heading, *lines]


def gradients():
    """Excess of the objective over that of the default, and the noise of the gradients."""
    rows = [one for one in results("ablations") if one["part"] == "gradients"]
    lines = []
    for key in dict.fromkeys((one["hidden"], one["variant"]) for one in rows):
        mine = [one for one in rows if (one["hidden"], one["variant"]) == key]
        cells = []
        for what in ("heads", "policy"):
            more = fmean(one[f"{what}, mean more"] for one in mine)
            error = sum(one[f"{what}, error"] ** 2 for one in mine) ** 0.5 / len(mine)
            cells.append(f"{1000 * more:+.2f} ± {1000 * error:.2f}")
        for state in ("start", "fitted"):
            cells.append(f"{fmean(one[f'{state}: variance'] for one in mine):.3g}")
        lines.append([*key, *cells])
    heading = ["hidden", "gradient", "heads: excess (1e-3)", "policy: excess (1e-3)"]
    return [[*heading, "variance at the start", "variance when fitted"], *lines]


# Runtime -----------------------------------------------------------------------------


def exponents():
    """Growth exponents."""
    rows = [one for one in results("runtime") if "slope" in one]
    keys = "exponent of", "what", "against", "range", "exponent", "at most", "met"
    return [list(keys), *([str(one[key]) for key in keys] for one in rows)]


def growth_figure():
    """Seconds and memory against rows, stages and classes."""
    import matplotlib.pyplot as plt

    points = [one for one in results("runtime") if "runs" in one]
    axes_of = list(dict.fromkeys(one["against"] for one in points))
    _, axes = plt.subplots(
        2, len(axes_of), figsize=(9, 5.5), layout="constrained", sharex="col", sharey="row"
    )
    for column, against in zip(axes.T, axes_of):
        for what in dict.fromkeys(one["what"] for one in points):
            mine = [one for one in points if (one["what"], one["against"]) == (what, against)]
            size = [one["size"] for one in mine]
            column[0].loglog(size, [one["seconds"] for one in mine], "o-", ms=3, label=what)
            column[1].loglog(size, [one["beyond it MB"] for one in mine], "o-", ms=3)
        column[1].set_xlabel(against)
        if against == "stages":
            column[1].set_xticks(size[::2], size[::2])
            column[1].minorticks_off()
    axes[0, 0].set_ylabel("seconds")
    axes[1, 0].set_ylabel("memory beyond the trace (MB)")
    axes[0, 0].legend(frameon=False)


def ratios():
    """The ratios of the foundations."""
    rows = [one for one in results("runtime") if "ratio of" in one]
    keys = "ratio of", "with", "ratio", "asked", "met"

    def cell(value):
        return f"{value:.3g}" if isinstance(value, float) else str(value)

    return [list(keys), *([cell(one[key]) for key in keys] for one in rows)]


# Papers ------------------------------------------------------------------------------


def papers_alone():
    """Error and cost of every stage."""
    rows = [one for one in results("papers") if "million MACs" in one]
    lines = [
        [one["data"], one["stages"], one["stage"], one["error"], f"{one['million MACs']:.1f}"]
        + [f"{one['share']:.1%}"]
        for one in rows
    ]
    return [["images", "stages", "stage", "error (%)", "million MACs", "share"], *lines]


def papers_points():
    """Chosen and read-off costs of every cascade."""
    rows = [one for one in results("papers") if "points" in one]
    lines = []
    for one in rows:
        read_off = [one[key] for key in one if key.startswith("read off")]
        chosen = next(one[key] for key in one if key.startswith("chosen at 0:"))
        asked = f"{100 * one['asked']:.1f}" if "asked" in one else "-"
        stages = one.get("among", one["stages"])
        reached = f"{one['within reach']:.0%}"
        lines.append([one["data"], stages, one["policy"], chosen, *read_off, asked, reached])
    drops = [key.split()[-1] for key in rows[0] if key.startswith("read off")] if rows else []
    heading = ["images", "stages", "policy", "chosen at 0: drop, MACs (%)"]
    columns = [f"MACs (%) at {drop}" for drop in drops]
    return [[*heading, *columns, "published", "draws that reach it"], *lines]


def papers_epsilon():
    """The rule of each exit on its own, and the joint rule."""
    rows = [one for one in results("papers") if "joint rule at that drop" in one]
    keys = "data", "policy", "drop", "MACs", "joint rule at that drop"
    return [list(keys), *([one[key] for key in keys] for one in rows)]


# The directive -----------------------------------------------------------------------


def _cost_and_drop(cost, drop):
    return lambda one: f"{one[cost]:.3f} ({100 * one[drop]:+.2f})"


def _quoted(cell):
    cell = "\N{EN DASH}" if cell == "-" else cell  # alone, a hyphen would begin a list
    return cell.replace("+-", "±").replace('"', '""')


def coverage_worst():
    """For each kind of bound, the cell with the most unwarned violations."""
    heading = ["Bound", "Populations", "Cells", "Worst cell", "Cells beyond the error"]
    table = [heading]
    rows = [row for row in results("coverage") if "kept" in row]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        cells = [row for row in rows if row["kind"] == kind]
        worst = max(cells, key=_broken)
        shown = f"{_broken(worst):.0%}: {worst['population']}"
        shown += f", {worst['rows']} rows" if "rows" in worst else ""
        populations = len({row["population"] for row in cells})
        beyond = sum(row["kept"] == "NO" for row in cells)
        table.append([kind, str(populations), str(len(cells)), shown, str(beyond)])
    return table


def _broken(row):
    """Share of draws that break what was promised."""
    if "reached" in row:
        return 1 - row["reached"]
    return row["missed"] if "missed" in row else row["unwarned violations"]


class BenchmarkTable(Directive):
    """A table of results: the name of a function of this module, and its argument."""

    required_arguments = 1
    optional_arguments = 1

    def run(self):
        """Parse the rows as a csv-table."""
        name, *given = self.arguments
        rows = globals()[name](*given)
        cells = [",".join(f'"{_quoted(cell)}"' for cell in row) for row in rows]
        lines = [".. csv-table::", "   :header-rows: 1", "   :class: benchmark", ""]
        lines += [f"   {line}" for line in cells]
        self.state.document.settings.record_dependencies.add(*map(str, RESULTS.glob("*.json")))
        node = nodes.Element()
        self.state.nested_parse(StringList(lines, source=__file__), self.content_offset, node)
        return node.children


def setup(app):
    """Register the directive."""
    app.add_directive("benchmark-table", BenchmarkTable)
    return {"parallel_read_safe": True}

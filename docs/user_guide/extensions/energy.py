"""A cost model: joules per sample, from counted multiply-accumulates (MACs)."""

from skcascade.costs import MacsCost


class Energy(MacsCost):
    """Watts times seconds per MAC times MACs.

    >>> from skcascade import checks, make_cascade
    >>> checks.check_cost_model(Energy())
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> cascade = make_cascade(LogisticRegression(max_iter=5000), cost=Energy())
    >>> cascade.fit(*load_digits(return_X_y=True)).cost_.edge_costs_
    array([[4.16e-06]])
    """

    unit = "joules"

    def __init__(self, watts=65.0, seconds_per_mac=1e-10):
        self.watts, self.seconds_per_mac = watts, seconds_per_mac

    def measure(self, call):
        return self.watts * self.seconds_per_mac * super().measure(call)

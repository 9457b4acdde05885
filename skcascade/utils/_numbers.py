"""Constants that several parts of the package share."""

__all__ = ["SMALLEST_DOUBT"]

#: Probabilities are kept this far away from 0 and 1 before their logarithm is taken.
#: Members answer in float32, whose numbers are 6e-8 apart just below 1.
SMALLEST_DOUBT = 1e-7

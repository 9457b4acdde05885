"""Measurements of skcascade, run as ``python -m benchmarks NAME``."""

#: Name of each benchmark (its module) -> what it measures.
BENCHMARKS = {
    "tables": "cost and accuracy drop on recorded tables of commercial services",
    "walk_overhead": "predict_proba on many rows against the bare members",
    "one_row": "predict_proba on one row against the first member alone",
    "tuning": "choice of the operating point against scikit-fallback",
    "memory": "peak memory and time of tuning on a million rows",
    "grid_search": "20 operating points in GridSearchCV against one",
}

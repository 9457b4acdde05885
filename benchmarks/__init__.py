"""Measurements of skcascade, run as ``python -m benchmarks NAME``."""

#: Name of each benchmark (its module) -> what it measures.
BENCHMARKS = {
    "tables": "cost and accuracy drop on recorded tables of commercial services",
    "walk_overhead": "predict_proba on many rows against the bare members",
    "one_row": "predict_proba on one row against the first member alone",
    "network_selection": "learnt rules that may skip stages, against the chain and thresholds",
    "tuning": "choice of the operating point against scikit-fallback",
    "memory": "peak memory and time of tuning on a million rows",
    "grid_search": "20 operating points in GridSearchCV against one, and against one fit",
    "learned_policies": "three policies on three CifarResNets and Fashion-MNIST, three seeds",
    "joint_training": "an epoch of joint training against plain epochs of the members",
    "certified": "certified operating points: how often a bound is broken, what keeping it costs",
    "drift": "whether the monitor notices JPEG images, and its false alarms",
    "probabilities": "answers combined over the visited stages, and calibrated members",
    "early_exit": "a three-exit net from exit to exit against its bare blocks",
}

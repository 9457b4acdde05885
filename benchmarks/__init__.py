"""Measurements of skcascade, run as ``python -m benchmarks NAME``."""

#: Name of each benchmark (its module) -> what it measures.
BENCHMARKS = {
    "papers": "the three papers' experiments on CIFAR-10 and Fashion-MNIST",
    "policies": "every policy on every recorded table: points, curves, paired comparison",
    "expected_losses": "tuning on expected losses against tuning on observed ones",
    "peers": "published rules and other packages at the same targets, against ours",
    "runtime": "growth of tuning time and memory with rows, stages and classes; all ratios",
    "ablations": "what each part of a policy is worth: tuning, pruning, features, gradients",
    "walk_overhead": "predict_proba on many rows against the members themselves",
    "one_row": "predict_proba on one row against the first member alone",
    "network_selection": "learned policies that may skip stages, against the chain and thresholds",
    "tuning": "choice of the operating point against scikit-fallback",
    "one_method": "CPU seconds to tune a policy that defines `exit_mask` only",
    "memory": "peak memory and time of tuning on a million rows",
    "grid_search": "20 operating points in GridSearchCV against one, and against one fit",
    "learned_policies": "three policies on three CifarResNets and Fashion-MNIST, three seeds",
    "joint_training": "an epoch of joint training against plain epochs of the members",
    "certified": "certified operating points: how often bounds are exceeded, and their cost",
    "coverage": "certificates, intervals and sample sizes on simulated populations of known truth",
    "drift": "whether the monitor notices JPEG images, and its false alarms",
    "probabilities": "predictions combined over the visited stages, and calibrated members",
    "pooled": "the vote of the visited stages as the answer, and as the score of thresholds",
    "faults": "faults of members, policies, costs and losses: tried and survived",
    "early_exit": "a three-exit net from exit to exit against its blocks alone",
}

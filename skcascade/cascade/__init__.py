"""The estimator: fit members, tune the policy, walk."""

"""
Fashion-MNIST with three ResNets
================================

Three small ResNets of growing size, trained on 50,000 images of clothes. The thresholds are tuned
on 10,000 more. On two CPU cores this takes about 13 minutes.
"""

# %%
# The images come from ``fashion_mnist.npz`` in the folder that the environment variable
# ``SKCASCADE_DATA`` gives, else from OpenML.
import os
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import fetch_openml

from skcascade import CascadeClassifier
from skcascade.members import TorchClassifier
from skcascade.nets import CifarResNet


def load_fashion_mnist():
    """60,000 training and 10,000 test images (n, 1, 28, 28), with their labels."""
    file = Path(os.environ.get("SKCASCADE_DATA", "../shared/data")) / "fashion_mnist.npz"
    if file.exists():
        with np.load(file) as data:
            X = np.concatenate([data["x_train"], data["x_test"]])
            y = np.concatenate([data["y_train"], data["y_test"]])
    else:
        X, y = fetch_openml("Fashion-MNIST", return_X_y=True, as_frame=False)
    X = X.reshape(-1, 1, 28, 28).astype(np.float32) / 255
    y = y.astype(int)
    return X[:60_000], X[60_000:], y[:60_000], y[60_000:]


X_train, X_test, y_train, y_test = load_fashion_mnist()

# %%
# The members: each has about six times the cost of the one before.


def resnet(depth, width, epochs):
    """A ResNet for small images."""
    return TorchClassifier(
        CifarResNet,
        module_params={"depth": depth, "width": width},
        max_epochs=epochs,
        early_stopping=False,
        verbose=1,
    )


members = [
    ("small", resnet(8, 4, epochs=8)),
    ("medium", resnet(8, 10, epochs=8)),
    ("large", resnet(14, 16, epochs=8)),
]
start = time.perf_counter()
cascade = CascadeClassifier(members, cv=10_000 / 60_000, random_state=0, verbose=1)
cascade.fit(X_train, y_train)
print(f"fitted in {(time.perf_counter() - start) / 60:.1f} minutes\n")
print(cascade.summary())

# %%
# On the test images, compared with the reference member alone:
reference = cascade.stage_names_[cascade.tradeoff_.reference]
alone = cascade.members_[reference].score(X_test, y_test)
print(f"\n{'':<26} accuracy  relative MACs")
print(f"{reference + ' alone':<26} {alone:8.4f}  {1:13.3f}")
for drop in (0, 0.005, 0.01):
    cascade.set_operating_point(max_accuracy_drop=drop)
    macs = cascade.cost_.relative(cascade.predict_cost(X_test)).mean()
    print(f"max_accuracy_drop={drop:<8} {cascade.score(X_test, y_test):8.4f}  {macs:13.3f}")

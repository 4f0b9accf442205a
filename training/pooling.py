"""Pool the token vectors of a passage: clusters of alike tokens, one unit mean each, as an index may keep them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.cluster.hierarchy import fcluster, linkage
from torch import Tensor
from torch.nn import functional as F

SMALLEST = 3  # Ward needs a few points to cluster


def clusters(vectors: np.ndarray, ratio: float) -> np.ndarray:
    """Return the cluster number (n,) of each row of `vectors` (n, dim): about n / `ratio` clusters by Ward linkage."""
    count = max(1, round(len(vectors) / ratio))
    if ratio <= 1 or len(vectors) < SMALLEST:
        return np.arange(len(vectors))
    labels = fcluster(linkage(vectors.astype(np.float32), "ward"), count, "maxclust")
    return np.unique(labels, return_inverse=True)[1]


def pool(vectors: Tensor, labels: np.ndarray) -> Tensor:
    """Return the unit mean (clusters, dim) of each cluster; the gradient takes the clusters as given."""
    sums = torch.zeros(int(labels.max()) + 1, vectors.shape[1], dtype=vectors.dtype, device=vectors.device)
    rows = torch.from_numpy(labels.astype(np.int64)).to(vectors.device)
    return F.normalize(sums.index_add(0, rows, vectors), dim=-1)


def pooled(vectors: np.ndarray, ratio: float) -> np.ndarray:
    """Return the pooled rows of float `vectors` (n, dim), (about n / `ratio`, dim) float32."""
    if not len(vectors):
        return vectors.astype(np.float32)
    return pool(torch.from_numpy(vectors.astype(np.float32)), clusters(vectors, ratio)).numpy()

"""Which labels are likely wrong: confident learning over out-of-fold probabilities of a linear model.

A row counts when its model, which has not seen it, gives another label at least the probability that rows of that
other label have on average (Northcutt, Jiang and Chuang, "Confident Learning", 2021, arXiv:1911.00068), and its own
label a low one.

Shapes: n = rows, k = labels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from luthier.evaluation.baselines import linear_model

FOLDS = 5

LOW = 0.15
"""A row whose own label has a higher probability is given the benefit of the doubt.

Measured on 2 264 sentences of Financial PhraseBank on which all annotators agree: 1.3 % are suspect as they are, 5.0 %
with every twentieth label changed (68 % of them rightly so), 8.7 % with every tenth (80 %), 15.3 % with every fifth
(85 %). Of all 4 846 sentences with at least half of the annotators agreeing, 5.8 % are suspect.
"""


def out_of_fold(texts: Sequence[str], codes_n: NDArray[np.int64], seed: int) -> NDArray[np.float64]:
    """Probabilities of every label for each row, by a model fitted on the other folds, [n, k].

    Args:
        texts: the rows.
        codes_n: the number of each row's label, every label at least `FOLDS` times.
        seed: of the folds.
    """
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    found: NDArray[np.float64] = cross_val_predict(
        linear_model(texts), np.asarray(texts, dtype=object), codes_n, cv=folds, method="predict_proba"
    )
    return found


def suspects(probabilities_nk: NDArray[np.float64], codes_n: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows whose label is likely wrong, the least likely label first."""
    rows_n = np.arange(len(codes_n))
    own_n = probabilities_nk[rows_n, codes_n]
    usual_k = np.array([own_n[codes_n == code].mean() for code in range(probabilities_nk.shape[1])])
    others_nk = probabilities_nk.copy()
    others_nk[rows_n, codes_n] = 0.0
    confident_n = (others_nk >= usual_k).any(axis=1) & (own_n < LOW)
    found: NDArray[np.int64] = rows_n[confident_n]
    return found[np.argsort(own_n[found], kind="stable")]

"""Ways to choose settings of hybrid search compared: by other collections, made queries, the collection itself."""

from __future__ import annotations

import numpy as np

from lsr.training.tuning.leave_one_out import Compared, rows_of


def test_the_others_choose_for_a_collection() -> None:
    legs = {"sparse": 0.5, "dense": 0.4}
    made = np.array([[0.5, 0.5], [0.6, 0.5]])
    found = [Compared(name, legs, np.array(judged), made, legs) for name, judged in
             (("a", [0.5, 0.9]), ("b", [0.6, 0.5]), ("c", [0.7, 0.6]))]  # fmt: skip
    rows = dict(rows_of(found))
    assert rows["usual settings"] == [0.5, 0.6, 0.7] and rows["chosen on the collection itself"] == [0.9, 0.6, 0.7]
    assert rows["chosen on the others"] == [0.5, 0.5, 0.6], "a is left out where a is measured"
    assert rows["best on made queries"] == [0.9, 0.5, 0.6] and rows["chosen by made queries"] == [0.5, 0.6, 0.7]

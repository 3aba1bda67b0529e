"""What the benchmark of tables measures against."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm

from benchmarks.tables import FRIEDMAN, TABLES, configuration, linear_rmse, true_rmse
from kansweep.data import sources, tables


@pytest.mark.parametrize("name", TABLES)
def test_linear_regression_is_that_of_statsmodels(name, tmp_path):
    data = configuration(name, 1, tmp_path).data
    source = sources.source(data)
    x, y = source.train(data.sizes[-1], 3)
    x_test, y_test = source.test(data.n_test, 3)
    scale = x.std(0)  # a pseudo-inverse of columns of such different sizes drops some
    fitted = sm.OLS(y, sm.add_constant((x - x.mean(0)) / scale)).fit()
    predicted = fitted.predict(sm.add_constant((x_test - x.mean(0)) / scale, has_constant="add"))
    expected = np.sqrt(np.mean((y_test[:, 0] - predicted) ** 2))
    assert linear_rmse(source, len(x), len(x_test), 3) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", TABLES)
def test_a_fifth_of_the_rows_is_kept_for_the_test(name, tmp_path):
    data = configuration(name, 0, tmp_path).data
    source = sources.source(data)
    parts = source.train(data.sizes[-1], 0), source.test(data.n_test, 0)
    together = np.concatenate([np.hstack(part) for part in parts])
    table = tables.read(data.path, None, None)
    every = np.hstack([table.x, table.y])
    np.testing.assert_array_equal(together[np.lexsort(together.T)], every[np.lexsort(every.T)])
    assert data.n_test == len(every) // 5


@pytest.mark.parametrize("name", FRIEDMAN)
def test_the_noise_of_friedmans_tables_is_as_published(name, tmp_path):
    data = configuration(name, 1, tmp_path).data
    friedman = FRIEDMAN[name]
    noise = true_rmse(name, sources.source(data), data.n_test, 0)
    assert noise == pytest.approx(friedman.noise, rel=0.15)  # 400 rows: 3.5% a standard deviation
    if name != "friedman1":
        signal = friedman.function(friedman.table(20_000)[["x1", "x2", "x3", "x4"]].to_numpy())
        assert signal.std() / friedman.noise == pytest.approx(3, rel=0.1)

"""From stored results to laws and figures, as a notebook does it."""

from __future__ import annotations

import pytest
from cells import kans, mlps, published
from matplotlib.figure import Figure
from processes import python

import kansweep
from kansweep import study
from kansweep.data import targets
from kansweep.laws import fits


def test_a_notebook_goes_from_a_file_to_a_figure(tmp_path):
    path = tmp_path / "results.parquet"
    published().to_parquet(path)
    for given in (path, str(path), tmp_path):
        results = kansweep.load_results(given)
        laws = kansweep.fit_laws(results)
        figure = kansweep.plot_laws(results, laws)
    assert laws.columns.tolist() == fits.LAW_COLUMNS
    assert isinstance(figure, Figure)
    assert figure.axes[0].get_ylabel() == "test RMSE"
    assert figure.axes[0].get_xlabel() == "grid size G"
    by_parameters = kansweep.plot_laws(results, kansweep.fit_laws(results, "n_params"), "train")
    assert by_parameters.axes[0].get_ylabel() == "train RMSE"
    assert by_parameters.axes[0].get_xlabel() == "trainable parameters P"


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        kansweep.load_results(tmp_path / "nothing.parquet")
    with pytest.raises(AttributeError, match="no attribute 'fit_lows'"):
        kansweep.fit_lows  # noqa: B018


def test_importing_the_package_brings_in_nothing_heavy():
    heavy = "{'torch', 'pandas', 'matplotlib', 'scipy'}"
    assert python(f"import sys, kansweep; assert not {heavy} & {{*sys.modules}}") == ""


def test_a_notebook_draws_an_mlp_from_a_file(tmp_path):
    path = tmp_path / "results.parquet"
    mlps(-0.9, 3).to_parquet(path)
    results = kansweep.load_results(path)
    laws = kansweep.fit_laws(results)
    assert set(laws["x"]) == {"n_params"}
    assert laws["exponent"].to_numpy() == pytest.approx(-0.9)
    figure = kansweep.plot_laws(results, laws)
    assert figure.axes[0].get_xlabel() == "trainable parameters P"
    assert kansweep.fit_laws(results, "grid_size").empty
    assert kansweep.plot_laws(results, laws.iloc[:0]).axes[0].get_ylabel() == "test RMSE"


def test_what_a_target_of_ones_own_is_made_of_is_offered():
    assert kansweep.Target is targets.Target
    assert kansweep.Edge is targets.Edge
    assert set(kansweep.__all__) >= {"Edge", "Target", "load_model", "plot_edges"}


def test_sweeps_of_both_kinds_are_drawn_together():
    results = study.together({"one": kans(3), "two": mlps(-0.9, 3)})
    laws = kansweep.fit_laws(results)
    assert set(laws["x"]) == {"n_params"}
    assert isinstance(kansweep.plot_laws(results, laws), Figure)


def test_laws_of_older_versions_are_drawn_too():
    laws = kansweep.fit_laws(published())
    old = laws.drop(columns=["model", "k"])
    (new, again) = (
        [text.get_text() for text in kansweep.plot_laws(published(), each).legends[0].get_texts()]
        for each in (laws, old)
    )
    assert new == again

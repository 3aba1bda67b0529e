"""What the page says: laws, failures, the matrix, and of MLPs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
from cells import kans, mlps
from reports import MINUS, Reader, job, made, rows, said, swept, words, written

from kansweep import study
from kansweep.config.data import DataConfig
from kansweep.config.models import GridConfig
from kansweep.figures import sets
from kansweep.laws import findings
from kansweep.report import making
from kansweep.report.contents import Report
from kansweep.report.page import page as page_of


def test_a_law_is_a_sentence_with_its_verdict() -> None:
    text, laws = said("judged"), made("judged").study.laws
    found = laws[(laws["n_train"] == 3000) & (laws["split"] == "test")].iloc[0]
    low, middle, high = (
        f"{found[name]:.2f}".replace("-", MINUS) for name in ("ci_low", "exponent", "ci_high")
    )
    assert (
        f"The primary law: with 3000 training points, test RMSE falls as G to the {middle} [{low},"
        f" {high}] over G = 5 to 50, three seeds: relative to the floor the exponent is 0.05 [0.02,"
        " 0.08], which is consistent with the theory's 0 within 0.25."
    ) in text
    assert "which neither supports nor refutes the theory's 0 within 0.25" in text
    assert "relative to the floor" in text
    assert "relative to the floor" not in said("usual")
    usual = said("usual")
    assert f"over the finest doubling of G the exponent is {MINUS}" in usual
    assert f"which is consistent with the theory's {MINUS}4 within 0.25." in usual
    assert "typical (median) seed" in usual
    assert "consistent (primary)" in usual


def test_a_curve_without_a_law_says_why() -> None:
    text = said("usual")
    assert "With 100 training points the data are insufficient for a law: too few grid" in text
    assert text.index("with 3000 training") < text.index("With 300 training")
    assert text.index("With 300 training") < text.index("With 100 training")
    assert "over-parameterised: above 0.5 parameters a training point" in text
    assert "counts, but too few beside it do" in text


def test_one_seed_is_called_one() -> None:
    text = said("one seed")
    assert ", one seed: over the finest doubling of G the exponent is" in text
    assert "without a verdict on the theory's" in text
    assert "of one seed, no interval" in text


def test_derivatives_have_a_table_and_notes_are_explained() -> None:
    text = said("remarkable")
    assert "gradient (H1 seminorm)" in text
    assert "Hessian (H2 seminorm)" in text
    assert "In the notes: astray: train RMSE above 3 times that of the median seed; a seed" in text
    assert "times the floor: a remark above 2, by which nothing is left out" in text
    assert "across the gap: one size between others does not count and is left out" in text
    assert "The floor is the RMSE of the best splines of the target's own functions" in text
    usual = said("usual")
    for absent in ("seminorm", "In the notes", "The floor is", "A cell that was not trained"):
        assert absent not in usual


def test_a_cell_that_was_not_trained_is_predicted_with_its_interval() -> None:
    assert (
        "A cell that was not trained, G = 200 at n = 3000: a new seed's test RMSE is predicted as"
        " 2.00e-09, with the 95% interval [1.00e-09, 4.00e-09], by floor exp(a + c P/n) over eight"
        " cells of five seeds."
    ) in said("remarkable")


def test_with_noise_the_law_against_data_size_is_told_too() -> None:
    text = said("noisy")
    assert "The primary law: with 10000 training points the data are insufficient" in text
    assert f"With noise, exp_sin: test RMSE falls as n to the {MINUS}0.46 [" in text
    assert (
        f"consistent with the {MINUS}0.45 of the smoothing penalty within 0.05; at G = 50" in text
    )


def test_of_a_special_function_it_says_what_is_not_known() -> None:
    of_target = study.of_one(rows(job()).assign(data="ellipj", width="2-3-1"))
    text = words(replace(made("usual"), study=of_target))
    assert "no floor to hold the errors against: whether a 2-3-1 KAN represents it is not" in text


def test_failures_are_told_once_with_their_cells_and_text() -> None:
    text = said("failures")
    assert "Three cells failed (exception): n = 3000, seed 0, G = 50; n = 3000, seed 1" in text
    assert "Three cells diverged (non-finite): n = 100, seed 1, G = 20; " in text
    assert "Failures" not in said("usual")
    assert "</pre><script>alert('1')</script> & \"<img src=x>\" \ufffd\ufffd[31m" in text
    assert f"{making.MOST_NAMED} more" not in text
    many = job(seeds=10, data=DataConfig(sizes=(100, 300, 1000)))
    failed = rows(many).assign(status="failed", error="out of memory")
    text = words(swept(failed, many))
    assert text.count("out of memory") == 1
    assert f"; {len(failed) - making.MOST_NAMED} more." in text


def test_the_matrix_and_the_provenance_are_there() -> None:
    text = said("usual")
    usual = made("usual")
    for median in usual.study.results.groupby(["n_train", "grid_size"])["test_rmse"].median():
        assert f"{median:.2e}" in text
    for word in ("node7", "2.13.0", "abc", "2026-01-02 03:04:00 UTC", "18 s", "k: 3"):
        assert word in text
    assert "4 grid sizes" in text
    assert "36 cells: 36 done." in text


def test_a_matrix_of_many_grid_sizes_runs_down() -> None:
    many = job(seeds=1, grid=GridConfig(sizes=tuple(range(2, 12))))
    page = page_of(swept(rows(many), many, drawn=[]))
    assert 'scope="col" class="number">n=300</th>' in page
    assert 'scope="row" class="number">G=11</th>' in page
    assert 'scope="col" class="number">G=50</th>' in written("usual")


def test_an_order_beside_a_failed_cell_is_a_dash() -> None:
    assert "nan" not in said("failures")


def test_the_matrix_in_one_formula_is_told_where_there_are_cells_enough() -> None:
    results = rows(job())
    text = said("usual")
    assert "A G^-alpha + C (P/n)^gamma" in text
    assert "it proves nothing" in text
    few = results[results["n_train"] == results["n_train"].max()]
    assert "(P/n)^gamma" not in words(swept(few, job()))


def of_mlps(**columns: Any) -> Report:
    asked = job(data=DataConfig(sizes=(300, 100_000)))
    results = mlps(-0.9, 3, numbers=(300, 100_000), host="node7", stop_reason="converged")
    results = results.assign(started_at=pd.Timestamp("2026-01-02", tz="UTC"), **columns)
    for column in ("version", "torch_version", "git_revision", "device", "solver"):
        results[column] = "x"
    results.loc[results["size"] == 5, ["status", "error"]] = ["failed", "out of memory"]
    return swept(results, asked)


def test_a_page_of_mlps_speaks_of_widths_and_claims_no_theory() -> None:
    page = Reader(page_of(of_mlps()))
    text = "".join(page.texts)
    assert "Scaling law of multilayer perceptrons, width 2-w-w-1, on exp_sin = " in text
    assert "2 data sizes \N{MULTIPLICATION SIGN} 5 widths \N{MULTIPLICATION SIGN} 3 seeds" in text
    exponent = f"{MINUS}0.90 [{MINUS}0.90, {MINUS}0.90]"
    assert (
        f"with 100000 training points, test RMSE falls as P to the {exponent} over w = 10 to 100"
        " (P = 151 to 10501), three seeds: a description, of which no theory is claimed."
    ) in text
    assert "P is the number of trainable parameters, w the width of the hidden layers." in text
    assert "no theory of multilayer perceptrons is claimed" in text
    assert "RMSE as a power of the number P of parameters" in text
    assert "n = 300, seed 0, w = 5" in text
    for absent in ("G = ", "grid", "spline", "Observed orders", "(P/n)^gamma", "(k+1)", "nan"):
        assert absent not in text.replace("grid.sizes", "").replace("\ngrid:", ""), absent
    labels = [attributes["aria-label"] for attributes in page.tags("svg")]
    assert any(
        label.startswith("Test RMSE against number P of parameters, both logarithmic. n = 300: ")
        and f"{mlps(-0.9)['test_rmse'].iloc[-1] * 2:.2e} at P = 10501" in label
        and label.endswith(f"exponent {exponent}.")
        for label in labels
    )
    assert any("w = 10: " in label for label in labels)
    assert "Noise" not in text


def test_a_law_rests_on_cells_of_its_own_kind() -> None:
    both = pd.concat([kans(3), mlps(-0.9, 3, numbers=(10_000,))], ignore_index=True)
    study = findings.study(both)
    for _, law in study.laws.iterrows():
        assert set(study.behind(law)["model"]) == {law["model"]}
        assert law["model"] == ("kan" if law["verdict"] == "consistent" else "mlp")


def test_a_page_names_the_noise_and_what_it_limits() -> None:
    results = rows(job()).assign(noise=1e-5)
    text = words(swept(results, job()))
    assert ", with noise of 1e-05 on the training outputs." in text
    assert "noise-limited: train RMSE below 2 times the noise of the training outputs" in text
    assert "with noise" not in said("usual")


def test_every_figure_of_both_kinds_has_a_caption_of_its_kind() -> None:
    captions = {
        (each.name, results["model"].iloc[0]): each.caption
        for results in (kans(numbers=(1000, 10_000)), mlps(numbers=(1000, 10_000)))
        for x in (None, "n_params")
        for each in sets.of_one(findings.study(results, x=x), ["test"])
    }
    assert [key for key, text in captions.items() if "theory" in text.lower()] == [
        ("test_rmse_vs_grid_size", "kan"),
        ("test_rmse_vs_data_size", "kan"),
        ("test_local_orders", "kan"),
        ("test_rmse_vs_n_params", "kan"),
    ]
    assert "a curve for each width w." in captions["test_rmse_vs_data_size", "mlp"]
    assert "number P of trainable parameters" in captions["test_rmse_vs_n_params", "mlp"]
    assert "data size and grid size" in captions["test_rmse_map", "kan"]
    assert "data size and width" in captions["test_rmse_map", "mlp"]

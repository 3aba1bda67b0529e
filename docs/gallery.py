"""The gallery: for each entry its commands, the figure that they draw, and what it shows.

`make gallery` runs the commands of every entry, keeps one figure of each in docs/gallery and writes
docs/gallery.md. Sweeps are kept in outputs/, so that a second time only what is new is trained.
`make gallery ARGS="orders noise"` does those entries alone; without a figure an entry is left out
of the page.
"""

from __future__ import annotations

import argparse
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TABLES = runpy.run_path(str(ROOT / "docs" / "tables.py"))["COMMANDS"]
PAGE, FIGURES = ROOT / "docs" / "gallery.md", ROOT / "docs" / "gallery"


@dataclass(frozen=True)
class Entry:
    """``figure`` is the name of one that the last command draws; ``says`` what is to be seen."""

    name: str
    title: str
    commands: tuple[str, ...]
    figure: str
    says: str
    script: str = ""  # Python that makes what the commands read

    @property
    def image(self) -> Path:
        return FIGURES / f"{self.name}.png"

    def make(self) -> None:
        """Run the commands in the repository's root, and keep the figure."""
        if self.script:
            subprocess.run([sys.executable, "-c", self.script], check=True, cwd=ROOT)
        printed = ""
        for command in self.commands:
            words = [sys.executable, "-m", "kansweep", *shlex.split(command)[1:]]
            done = subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True)
            printed = done.stdout
        drawn = [line for line in printed.splitlines() if line.endswith(f"/{self.figure}.png")]
        if len(drawn) != 1:
            sys.exit(f"{self.name}: {self.commands[-1]} draws no {self.figure}.png:\n{printed}")
        FIGURES.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / drawn[0], self.image)

    def section(self) -> str:
        code = f"```python\n{self.script.strip()}\n```\n\n" if self.script else ""
        commands = "\n".join(self.commands)
        image = f"![{self.title}](gallery/{self.image.name})"
        return f"## {self.title}\n\n{code}```console\n{commands}\n```\n\n{image}\n\n{self.says}\n"


PENDULUM = """
import numpy as np
import pandas as pd
from scipy.special import ellipk

rng = np.random.default_rng(0)
length, amplitude = rng.uniform(0.1, 2.0, 4000), rng.uniform(0.1, 2.5, 4000)
period = 4 * np.sqrt(length / 9.81) * ellipk(np.sin(amplitude / 2) ** 2)
period += rng.normal(0, 0.001, 4000)  # a clock that is right to a millisecond
pendulum = pd.DataFrame({"length": length, "amplitude": amplitude, "period": period})
pendulum.to_csv("outputs/pendulum.csv", index=False)
"""


def _trained(name: str, formula: str) -> tuple[str, str]:
    """Commands that train the MLP of experiment=trainers by each trainer, as far as it can be."""
    run = f"kansweep run experiment=trainers 'data.formula={formula}'"
    return (
        f"{run} -m name={name} solver=lm,lbfgs_mlp",
        f"{run} 'name=\"{name},solver=adam\"' solver=adam solver.batch_size=32"
        " solver.learning_rate=0.003 solver.weight_decay=0.1",
    )


ENTRIES = (
    Entry(
        "example8",
        "Example 8: data size against grid size",
        ("kansweep run", "kansweep plot name=example8"),
        "test_rmse_vs_grid_size",
        """\
With 1000 and 3000 points the error follows the theory's slope of -4 over all five grids,
down to 4e-8 and 3e-8, beside the dotted floor of the best splines. With 100 and 300 points
the finer grids have too many parameters for the data: their markers are hollow, the fits
leave them out, and at 100 points the seeds differ by more than a factor of ten. Even there
the error falls with every finer grid, to 3e-7 and 5e-8 in the geometric mean over the seeds.""",
    ),
    Entry(
        "orders",
        "Splines of order 1 to 5",
        ("kansweep run experiment=orders", "kansweep plot 'names=orders*'"),
        "orders",
        """\
For k = 1 to 5 the measured order of the test error is k + 1 to within 0.12, over G = 5 to
100 on 3000 points. The intervals over five seeds are narrower than the markers. All ten
exponents lie in the grey band of the margin; training and test errors are drawn beside each
other, at the same k + 1.""",
    ),
    Entry(
        "noise",
        "Noise on the training outputs",
        (
            "kansweep run experiment=noise",
            "kansweep plot 'names=noise*'",
        ),
        "test_rmse_vs_grid_size",
        """\
Without noise the error falls along the theory to 3e-8; with noise of 0.1%, 1% and 10% of
the target's standard deviation (1.4e-3, 1.4e-2 and 0.14) the error against the clean target
levels off at about a tenth of the noise. Finer grids than the noise allows do no harm,
because the penalty's weight is chosen by REML and grows with the noise. All cells with
noise but one are hollow, being noise-limited, and the verdict is `insufficient`: a line
through them would be no law of approximation.""",
    ),
    Entry(
        "paper_fig_3_1",
        "The KAN paper's scaling figure",
        ("kansweep run experiment=paper_fig_3_1", "kansweep plot 'names=paper_fig_3_1*'"),
        "test_rmse_vs_n_params",
        """\
Each panel is one target at 3000 points: the KANs' errors lie on the dotted floor, on `nested`,
where only the start of the 4-4-2-1 is known, below it, and fall up to six decades with a few
hundred parameters. The MLPs are trained by second order too, tanh by Levenberg-Marquardt from
several starts, where they were silu by L-BFGS before: with 51 and 151 parameters on `exp_sin`
that takes their error from 8e-3 and 9e-4 to 3e-5 and 2e-6, which is as good as the KAN of as
many parameters; the KAN goes on. On the 100 variables of `sine_mean`, where they had
over-fitted, held-out points now say that nothing was learned, and the mean is left. Splines
represent the product without error, so its KANs are at round-off and hollow. Exponents against
parameters are steeper than -4, which the theory claims against the grid size; one seed each, so
intervals are those of the fit's own residuals, and there is no verdict.""",
    ),
    Entry(
        "variants",
        "KANs of other functions",
        (
            "kansweep run experiment=variants data=bessel,exp_sin,product,nested",
            "kansweep plot 'names=variants*'",
        ),
        "test_comparison",
        """\
On `exp_sin`, of 1000 points, polynomials and waves of some hundred parameters reach the error
that B-splines reach with three hundred, while Gaussians as wide as their distance level off
near 3e-4, and splines on a grid that stays where it is get worse from some seventy on, for test
points whose hidden values have left it. On the oscillating `bessel` none of them has learned
anything before it has the degree, the frequency or the grid for it; Chebyshev polynomials then
fall the fastest. On `nested` both are near 1e-6 with some 450 parameters, where B-splines of
600 are at 1e-5 and no MLP below 4e-2. One seed each, and one way to train all but the KAN of
B-splines, so the figure ranks no families.""",
    ),
    Entry(
        "trainers",
        "Three trainers of one network",
        (
            *_trained("trainers_pairs", "exp(x1*x2 + x3*x4 + x5*x6 + x7*x8)"),
            *_trained(
                "trainers_mixed",
                "sin(3*x1*x2) + x3*x4 + sin(2*x5 + x6) + x7*x8*x9 + cos(3*x10)",
            ),
            "kansweep plot 'names=trainers*'",
        ),
        "test_comparison",
        """\
The same network on 500 points, three seeds, by Levenberg-Marquardt, by L-BFGS and by Adam with
small batches and weight decay. Each is the best somewhere. Of the pairs of variables, 211
parameters are fitted six times better by Levenberg-Marquardt than by L-BFGS; with more parameters
than points L-BFGS is ahead of it. Of the mixed terms Levenberg-Marquardt is best with 91
parameters, and Adam with 661 and 1291, in half the time. Nearly all from two hundred parameters on
is hollow: with so few points these are no laws.""",
    ),
    Entry(
        "special",
        "A special function: Jacobi's elliptic sine",
        (
            "kansweep run data=ellipj data.sizes=[1000,3000] seeds=3 name=ellipj",
            "kansweep plot name=ellipj",
        ),
        "test_rmse_vs_grid_size",
        """\
Whether a 2-3-1 KAN represents sn(x₁ | x₂) is not known, so no floor can be drawn. The
error falls at an order near 2.8 at first and levels off at 1e-5 for 1000 points and 3e-6
for 3000, where the seeds differ by a factor of three to five. The verdict is
`inconsistent`, of this width and this training; whether other widths follow the theory the
figure does not say.""",
    ),
    Entry(
        "tables",
        "The KAN paper's table of Feynman equations",
        TABLES["feynman"],
        "published",
        """\
Each line is an equation: the least errors of our KANs and of our MLPs, and the published ones.
Our KANs are below the best published ones in all 27, by a factor of 388 in the median; our MLPs,
of at most ten nodes a layer, are below the published ones in 25 and below our KANs in 9.
[The page of the tables](tables.md) has the numbers, the special functions, and which lines are
not comparable.""",
    ),
    Entry(
        "formula",
        "A formula of one's own",
        (
            "kansweep run 'data.formula=exp(-x1^2)/(1 + x2^2)' data.domain=[-2,2]"
            " data.sizes=[300,1000,3000] seeds=3 name=bump",
            "kansweep plot name=bump",
        ),
        "test_rmse_vs_grid_size",
        """\
The formula is exp(-x₁² - log(1 + x₂²)), which one hidden node represents, and the error
falls to 6e-9 on 3000 points. The curves are steeper than the dashed lines: from grid to
grid the orders at 3000 points are 4.9, 4.5, 4.2 and 3.9, so the coarse grids are
pre-asymptotic. The dotted floor, of the structure that is read off the formula, has the
orders 5.1, 4.6, 4.2 and 4.0; divided by it the exponent is 0.08 [0.05, 0.10] and the verdict
`consistent`, though -4.36 by itself is further from -4 than the margin of 0.25.""",
    ),
    Entry(
        "spacing",
        "Knots where the function needs them",
        ("kansweep run experiment=spacing", "kansweep plot 'names=spacing*'"),
        "test_rmse_vs_grid_size",
        """\
The target is exp(tanh(30x₁)/2 + x₂²), smooth but for a layer a thirtieth wide, on 2000 points. At
equal G, knots that adapt give a quarter of the error of equal intervals at G = 6, three
thousandths at 12 and a few ten-thousandths from 24 on, where they fall at the theory's slope;
equal intervals do not resolve the layer even at 48, and quantiles of evenly spread samples are
equal intervals. The shaded band at G = 48 is the scatter of three seeds.""",
    ),
    Entry(
        "table",
        "A table: the period of a pendulum",
        (
            "kansweep run data=table data.path=outputs/pendulum.csv seeds=3 name=pendulum",
            "kansweep plot name=pendulum",
        ),
        "test_rmse_vs_grid_size",
        """\
The error reaches 1e-3 at G = 10 to 20 and stays there: that is the clock's millisecond,
which the test rows have too. Finer grids hardly raise it, even with 309 parameters on 101
points. A table's noise is not known, so those cells count and the exponent is that of a
level line, far from the theory's dashed ones.""",
        PENDULUM,
    ),
    Entry(
        "edges",
        "Learned edges",
        (
            "kansweep run",
            "kansweep plot edges name=example8 edges.n_train=3000 edges.size=20",
        ),
        "edges_n3000-s0-G20",
        """\
The three functions that the network with G = 20 learned from 3000 points lie on the
target's own: sin πx₁, x₂² and exp. Such functions are determined only up to an affine
change of the hidden node's value and a constant between the edges into it; the dashed
curves are drawn in the network's choice of both. The test RMSE, 2e-5, is far below the
width of a line.""",
    ),
)

INTRODUCTION = """\
# Gallery

What kansweep can show: the commands, one of the figures that they draw, and what is to be seen in
it. `make gallery` trains what is missing and draws all of it again; this page is written by
`docs/gallery.py`.
"""


def page() -> str:
    """docs/gallery.md, of the entries that have been drawn."""
    return "\n".join([INTRODUCTION, *(e.section() for e in ENTRIES if e.image.exists())])


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw the gallery and write its page.")
    parser.add_argument("names", nargs="*", help="the entries to draw; unset, all")
    parser.add_argument("--page", action="store_true", help="only write the page")
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - {entry.name for entry in ENTRIES}:
        parser.error(f"there is no entry {', '.join(sorted(unknown))}")
    for entry in () if chosen.page else ENTRIES:
        if not chosen.names or entry.name in chosen.names:
            print(f"{entry.name}: {entry.title}", flush=True)
            entry.make()
    PAGE.write_text(page())


if __name__ == "__main__":
    main()

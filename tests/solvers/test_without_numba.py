"""Where numba is not there: the same networks by tensors, and one line that says so."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np

TRAINED = """
import sys
if "without" in sys.argv:
    sys.modules["numba"] = None
from nets import example
from kansweep.networks.kan import Shape
from kansweep.solvers.gauss_newton.objective import training_error
from kansweep.solvers.gauss_newton.lm import LM
problem, solver = example(300, (0, 1)), LM()
outcome = solver.solve(solver.start(Shape((2, 1, 1), 3, 5, False), problem), problem)
finer = solver.solve(outcome.net.refined(20), problem, outcome.memory)
for each in (outcome, finer):
    print(*each.steps, *each.stop_reason, *training_error(each.net, problem).sqrt().tolist())
"""


def trained(*words: str) -> tuple[list[list[str]], str]:
    done = subprocess.run(
        [sys.executable, "-c", TRAINED, *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    return [line.split() for line in done.stdout.splitlines()], done.stderr


def test_tensors_take_the_same_steps_and_say_that_they_serve():
    (loops, silent), (tensors, said) = trained(), trained("without")
    assert silent == ""
    assert said.count("\n") == 1
    assert "numba" in said
    for one, other in zip(loops, tensors, strict=True):
        assert one[:4] == other[:4]
        np.testing.assert_allclose(
            [float(v) for v in one[4:]], [float(v) for v in other[4:]], rtol=1e-8
        )

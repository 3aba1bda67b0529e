"""Factories of modules tried: what is of no use is refused, what has changed is another."""

from __future__ import annotations

import importlib
import re
import sys
from dataclasses import replace

import pytest
import user_nets

from kansweep.config.models import ModuleConfig
from kansweep.kinds import Unusable
from kansweep.networks import inspection
from kansweep.networks.inspection import inspected


def tried(target: str, sizes=(3, 6), dtype="float64", **settings):
    if ":" not in target:
        target = f"user_nets:{target}"
    return inspected(ModuleConfig(target=target, sizes=sizes, **settings), (2, 1), dtype)


@pytest.mark.parametrize("name", user_nets.MODULES)
def test_modules_of_use_are_taken_as_they_are(name):
    facts = tried(name)
    assert facts["extended"] == (name == "Hats")
    assert re.fullmatch("[0-9a-f]{16}", facts["sha256"])
    assert tried(name, extended=False)["extended"] is False
    assert tried(name, sizes=(3, 6, 12))["sha256"] == facts["sha256"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("nowhere:net", "must be package.module:factory; nowhere:net cannot be imported: Mod"),
        ("no_net", "user_nets:no_net cannot be imported: AttributeError"),
        ("nothing", "must be a function or a class of modules; user_nets:nothing is neither"),
        ("raising", "of 2 inputs, 1 outputs and size 3; user_nets:raising raised Floating"),
        ("raising", "FloatingPointError: not today"),
        ("text", "must make a torch.nn.Module; user_nets:text at size 3 made str"),
        ("empty", "must make modules with parameters to train; user_nets:empty at size 3 has none"),
        ("frozen", "parameters to train; user_nets:frozen at size 3 has none"),
        ("wide_outputs", "(100, 2) to (100, 1) in float64; user_nets:wide_outputs at size 6 gave"),
        ("other_inputs", "in float64; user_nets:other_inputs at size 3 raised RuntimeError: mat1"),
        ("on_a_gpu", "user_nets:on_a_gpu raised "),
        ("complex_net", "modules of real parameters; user_nets:complex_net at size 3 has some of"),
        ("forgetful", "must make modules that give the same outputs each time"),
        ("Noisy", "must make modules that give the same outputs each time"),
        ("Single", "in float64; user_nets:Single at size 3 gave (100, 1) in float32"),
        ("Rounding", "compute in float64; user_nets:Rounding at size 3 rounds to float32"),
        ("Detached", "whose outputs follow from their parameters"),
        ("Centred", "must make modules that map each point by itself"),
        ("Twofold", "in float64; user_nets:Twofold at size 3 gave tuple"),
        ("Unlike", "refined(6) gives one such as the factory's of that size; user_nets:Unlike"),
        ("More", "one that is more than its parameters and buffers"),
    ],
)
def test_what_is_of_no_use_is_refused_in_a_sentence(target, message):
    with pytest.raises(Unusable, match=re.escape(message)) as refusal:
        tried(target)
    assert str(refusal.value).startswith("must ")
    assert len(str(refusal.value).splitlines()) == 1


def test_arguments_that_do_not_fit_and_extension_where_there_is_none_are_refused():
    assert tried("tanh_net", parameters={"layers": 2})["sha256"] != tried("tanh_net")["sha256"]
    with pytest.raises(Unusable, match=r"raised TypeError: .*'depth'"):
        tried("tanh_net", parameters={"depth": 2})
    with pytest.raises(Unusable, match=r"must make modules with a method refined\(size\)"):
        tried("tanh_net", extended=True)
    with pytest.raises(Unusable, match="must name what makes the modules"):
        inspected(ModuleConfig(), (2, 1), "float64")


def test_nan_is_no_reason_to_refuse_nor_is_float32_where_it_is_asked_for():
    assert tried("Fading")["extended"] is False
    assert tried("Single", dtype="float32")["extended"] is False


SOURCE = """
from torch import nn, tanh

from helpers import factor

SHIFT = 0.5

class Net(nn.Module):
    def __init__(self, n_inputs, n_outputs, size):
        super().__init__()
        self.first, self.last = nn.Linear(n_inputs, size), nn.Linear(size, n_outputs)

    def forward(self, x):
        return self.last(tanh(self.first(x) + SHIFT)) * factor()

    def refined(self, size):
        return wide(self.first.in_features, self.last.out_features, size)

def wide(n_inputs, n_outputs, size):
    return Net(n_inputs, n_outputs, 2 * size)

def of_squares(n_inputs, n_outputs, size):
    if size in (4, 5):
        raise ValueError("no square")
    return Net(n_inputs, n_outputs, size)

# The end.
"""


@pytest.fixture
def hash_of(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def hash_of(change=("", ""), helper="return 2.0", factory="wide", **settings):
        assert change[0] in SOURCE
        (tmp_path / "changing.py").write_text(SOURCE.replace(*change))
        (tmp_path / "helpers.py").write_text(f"def factor():\n    {helper}\n")
        for name in ("changing", "helpers"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        monkeypatch.setattr(sys, "dont_write_bytecode", True)
        inspection._tried.cache_clear()
        return tried(f"changing:{factory}", **settings)["sha256"]

    yield hash_of
    for name in ("changing", "helpers"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "change",
    [
        ("tanh(self.first(x)", "tanh(1 * self.first(x)"),  # says the same, but who can tell
        ("SHIFT = 0.5", "SHIFT = 0.25"),
        ("2 * size", "3 * size"),
        ("return wide(self.first.in_features", "return wide(0 + self.first.in_features"),
        ("import nn, tanh", "import nn, sigmoid as tanh"),
    ],
)
def test_a_module_that_changed_is_another(hash_of, change):
    assert hash_of(change) != hash_of()
    assert hash_of() == hash_of()


def test_what_it_calls_in_other_files_is_part_of_it_and_what_it_does_not_is_none(hash_of):
    assert hash_of(helper="return 3.0") != hash_of()
    assert hash_of(helper="return 1.0 + 1.0") == hash_of()
    assert hash_of(("# The end.", "# At last.\n\ndef deep():\n    pass\n")) == hash_of()
    assert hash_of(factory="Net", extended=False) != hash_of()
    assert hash_of(sizes=(3, 6, 9)) == hash_of()


def test_where_the_size_that_is_probed_is_none_the_whole_file_tells(hash_of):
    base = hash_of(factory="of_squares", extended=False)
    assert hash_of(("SHIFT = 0.5", "SHIFT = 0.25"), factory="of_squares", extended=False) != base
    assert hash_of(("# The end.", "# At last."), factory="of_squares", extended=False) != base
    assert hash_of(factory="of_squares", extended=False) == base


def test_a_solvers_dtype_and_a_class_from_elsewhere_are_known_too():
    assert tried("torch.nn:Linear")["sha256"] != tried("torch.nn:Linear", dtype="float32")["sha256"]
    config = ModuleConfig(target="torch.nn:Linear", sizes=(1, 2))
    assert inspected(config, (2, 1), "float64") == inspected(replace(config), (2, 1), "float64")

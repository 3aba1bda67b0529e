"""Tab completion: what a shell is offered, by way of what Hydra offers.

Hydra has scripts for bash and fish; its zsh is bash's, for which zsh has no `complete`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection

from hydra.core.utils import env_override

from kansweep.cli.composing import compose
from kansweep.cli.output import say

_ZSH = """\
_kansweep() {
    local -a offers
    offers=(${(f)"$(COMP_LINE="${(j: :)words[1,CURRENT]}" kansweep -sc query=fish 2> /dev/null)"})
    compadd -Q -S '' -a offers
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _kansweep kansweep"""


def complete(arguments: list[str], commands: Collection[str]) -> None:
    """Answer the shell: a command's name first, then what Hydra completes for that command."""
    line = os.environ.get("COMP_LINE")
    if line is None:  # not a question but the installation of the completion
        if arguments[1:] == ["install=zsh"]:
            say(_ZSH)
        else:
            compose("run", arguments)
        return
    word = re.match(r"\s*\S+\s+(\S+)\s", line)
    if word is None:
        say(*commands)
    elif word[1] in commands:
        point = int(os.environ.get("COMP_POINT", len(line)))
        shorter = {
            "COMP_LINE": line[: word.start(1)] + line[word.end() :],
            "COMP_POINT": str(max(word.start(1), point - len(word[1]) - 1)),
        }
        with env_override(shorter):
            compose(word[1], arguments)

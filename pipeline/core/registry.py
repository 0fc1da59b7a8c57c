"""Registry of models, losses, datasets and importers by file name: `find("models", "tsm")` is pipeline/models/tsm.py.

To add a member, add one file. There is no list to update: its name in conf/, the name of the file and the dependency in
dvc.yaml are the same word.
"""

import difflib
import importlib
import pkgutil
from types import ModuleType

from pipeline.core.errors import UserError


def names(kind: str) -> list[str]:
    """The members of a kind ("models", "losses", "datasets" or "pretrained/importers"), sorted.

    A file whose name begins with `_` is no member.
    """
    package = importlib.import_module(f"pipeline.{kind.replace('/', '.')}")
    found = (module.name for module in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if not name.startswith("_"))


def find(kind: str, name: str, where: str = "params.yaml") -> ModuleType:
    """The module `name` of the open set `kind`; `where` says in messages who asks for it.

    Raises:
        UserError: there is no such file; the message lists those that there are.
    """
    known = names(kind)
    if name not in known:
        guess = difflib.get_close_matches(name, known, n=1)
        raise UserError(
            f"{where}: there is no {name!r}, as pipeline/{kind}/{name}.py does not exist."
            + (f" Did you mean {guess[0]!r}?" if guess else "")
            + f" There are: {', '.join(known)}. To add one, add the file."
        )
    return importlib.import_module(f"pipeline.{kind.replace('/', '.')}.{name}")

"""A share of a stage: what one of several calls does, each on a node of its own, of the pieces that the stage makes."""

import argparse
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Share:
    """One of `of` shares, which are numbered from 1; written 3/16."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The share of a command line, such as 3/16.

        Raises:
            argparse.ArgumentTypeError: it is none.
        """
        found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
        if not found or not 1 <= int(found[1]) <= int(found[2]):
            raise argparse.ArgumentTypeError(f"{text!r} is no share; the third of sixteen is 3/16, the last 16/16")
        return cls(int(found[1]), int(found[2]))

    def part(self, items: Sequence[T]) -> Sequence[T]:
        """Every `of`-th of the items: all shares together have each once."""
        return items[self.number - 1 :: self.of]

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

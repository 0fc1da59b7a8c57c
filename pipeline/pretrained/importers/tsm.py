"""Repositories of TSM (mit-han-lab/temporal-shift-module) and TIN (deepcs233/TIN), which write one layout."""

from pipeline.pretrained.importers import Translation, descendant_of_tsn, translate_tsn
from pipeline.pretrained.weight_file import Weights


def recognises(weights: Weights) -> bool:
    """Whether it is TSN's class, as these repositories save it: under `state_dict`, every name with `module.`."""
    return descendant_of_tsn(weights) == "tsm"


def translate(weights: Weights) -> Translation:
    """Translate TSN, TSM or TIN, with or without non-local blocks."""
    return translate_tsn(weights)

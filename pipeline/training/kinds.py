"""Which kind of recipe a section `models.<name>` of params.yaml is."""

from collections.abc import Mapping
from typing import Any

from pipeline.clips.inputs import hears
from pipeline.training.config import ModelConfig
from pipeline.training.frozen_config import ENCODERS, PROBE, EncoderConfig, ProbeConfig
from pipeline.training.hearing_config import HearingConfig


def kind(section: Mapping[str, Any]) -> type[ModelConfig] | type[ProbeConfig]:
    """The class of a section `models.<name>`."""
    if hears(section.get("clip")):
        return HearingConfig
    kinds: dict[Any, type[ModelConfig | ProbeConfig]] = {PROBE: ProbeConfig, **dict.fromkeys(ENCODERS, EncoderConfig)}
    return kinds.get(str(section.get("arch")), ModelConfig)  # a list or mapping cannot be looked up

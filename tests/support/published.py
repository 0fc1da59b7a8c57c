"""Folders as public corpora are published, made up: lists, class files and empty files for clips."""

from pathlib import Path

import pytest

from pipeline.core import registry
from pipeline.core.errors import UserError
from pipeline.core.manifest import DatasetConfig, Manifest


def read(root: Path, reader: str, files: dict[str, str], clips: tuple[str, ...] = (), **settings: object) -> Manifest:
    """The manifest of a corpus with these lists in root/lists and these clips in root/videos."""
    for folder, names in (("lists", dict(files)), ("videos", dict.fromkeys(clips, ""))):
        (root / folder).mkdir(exist_ok=True)
        for name, text in names.items():
            (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (root / folder / name).write_text(text, encoding="utf-8")
    if isinstance(settings.get("classes"), str):
        settings["classes"] = str(root / "lists" / settings["classes"])
    config = DatasetConfig(**{
        "format": reader, "root": str(root / "videos"), "annotations": str(root / "lists"), "after": "conf/dataset",
        "generated": (), "classes": None, "val_share": 0.2, "test_share": 0.2, "split_seed": 0, **settings,
    })  # fmt: skip
    return registry.find("datasets", reader).read(config)


def refusal(*given: object, **settings: object) -> str:
    """What `read` says of a corpus that it refuses."""
    with pytest.raises(UserError) as error:
        read(*given, **settings)
    return str(error.value)


def rows(manifest: Manifest) -> list[list[str]]:
    """The manifest as [path, split, labels]."""
    return manifest.table[["path", "split", "labels"]].to_numpy().tolist()

"""How the entries of a video network are called in the image network that it is made of."""

from torch import nn


def of(model: nn.Module) -> dict[str, str | None]:
    """Entry of the model -> its name in an image network, with all wrapping undone; None for what was added."""
    wrapped = {}  # module that wraps another -> the component of names that stands for what it wraps
    for path, module in model.named_modules():
        children = {name for name, _ in module.named_children()}
        if len(children) == 2 and children & {"temporal", "non_local"} and children & {"conv", "block"}:
            wrapped[path] = (children & {"conv", "block"}).pop()
    names: dict[str, str | None] = {}
    for entry in model.state_dict():
        kept, path, added = [], "", not entry.startswith(("backbone.", "classifier."))
        for part in entry.split("."):
            added |= path in wrapped and part in ("temporal", "non_local")
            if wrapped.get(path) != part:
                kept.append(part)
            path = f"{path}.{part}".removeprefix(".")
        names[entry] = None if added else ".".join(kept)
    return names

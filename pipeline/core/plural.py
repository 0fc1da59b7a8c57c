"""A number and what it counts, in words for people."""


def number_of(count: int, thing: str, things: str = "") -> str:
    """A count with its noun, such as 1 video, 2,000 videos or 2 classes; `things` is a plural with more than an s."""
    return f"{count:,} {thing if count == 1 else things or f'{thing}s'}"

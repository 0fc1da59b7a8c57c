"""What a clip of the built-in corpus sounds like: its things hum, and each hum follows what the thing does.

A thing that is higher up hums higher, a larger one louder; one that stands aside of its place is out of tune, one in
two halves hums a fifth as well, and what cannot be seen is silent. So every motion has a sound of its own, and shapes
and backdrops have none. Some things are mute, some clips have no sound track at all, and there is noise.
"""

import numpy as np
from numpy.typing import NDArray

from pipeline.demo.clip import FPS, FRAMES, HEIGHT, Array, Scene, Track

RATE = 16_000  # samples a second
MUTE = 0.2  # of the things
SILENT = 0.08  # of the clips have no sound track
LOUDNESS = 6_000  # of a thing of middling size, of 32,767


def silent(scene: Scene) -> bool:
    """Whether the clip of a scene has no sound track."""
    return np.random.default_rng([scene.noise, 2]).random() < SILENT


def render_sound(scene: Scene) -> NDArray[np.int16]:
    """The sound of a scene, (samples,) in one channel."""
    rng = np.random.default_rng([scene.noise, 1])
    sound = rng.uniform(10, 1_000) * rng.standard_normal(FRAMES * RATE // FPS)
    for thing in scene.things:
        pitch, mute = 220 * 2 ** rng.uniform(0, 2), rng.random() < MUTE
        if not mute:
            sound += LOUDNESS * _hum(thing.track, pitch)
    return np.clip(np.rint(sound), -32_768, 32_767).astype(np.int16)


def _hum(track: Track, pitch: float) -> Array:
    """The hum of a thing, (samples,), about -1 to 1; `pitch` in Hz is that of the middle of the picture."""
    frame = np.arange(FRAMES * RATE // FPS) * FPS / RATE
    x, y, radius, gap, opacity = (np.interp(frame, np.arange(FRAMES), values) for values in vars(track).values())
    octaves = (HEIGHT / 2 - y) / 40 + (x - np.median(track.x)) / 60
    phase = 2 * np.pi * np.cumsum(pitch * 2**octaves) / RATE
    tone = np.sin(phase) + 0.3 * np.sin(2 * phase) + gap / 30 * np.sin(1.5 * phase)
    hum: Array = opacity * (radius / 16) ** 2 * tone / 2
    return hum

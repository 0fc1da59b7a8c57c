"""Clips against FFmpeg's own frames and Pillow's resizing: every scale, crop and size, from the file to the pixels.

What lies between is the JPEGs and what resizing rounds; a crop that is off by one pixel or a frame costs many times
that (`test_what_is_off_by_one_would_show`).
"""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from pipeline.cli.new_frames import NewVideos
from pipeline.clips import dataset, sampling, transforms, views
from pipeline.clips.dataset import TrainDataset, ViewSpec
from pipeline.clips.sampling import SamplerConfig
from pipeline.clips.transforms import AugmentConfig, Box
from pipeline.clips.views import Scale, ViewConfig
from pipeline.core.manifest import Manifest, VideoRecord
from pipeline.extraction.config import ExtractConfig
from pipeline.extraction.ffmpeg import extract_frames
from tests.support.corpus import FFMPEG, ffmpeg

pytestmark = pytest.mark.slow

SIZES = ("340x256", "256x340", "320x320", "426x320", "640x480", "98x64")
"""What clips are stored at, upright and square, one that extraction makes smaller, and a small one."""
MOST_ERROR = 2.0
"""Mean error allowed, of 255."""
RESAMPLED = 5.0
"""The same where the extraction made a larger video smaller, or libjpeg decodes at a reduced scale: twice resampled."""
SAMPLER = SamplerConfig("segments", 3)


@pytest.fixture(scope="module", params=SIZES)
def video(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[NewVideos, np.ndarray]:
    """The JPEGs of a video as the stages make them, and FFmpeg's frames (T, H, W, 3) of the same file."""
    folder = tmp_path_factory.mktemp("video")
    path, (width, height) = folder / "a.mkv", map(int, request.param.split("x"))
    (folder / "jpegs").mkdir()
    source = f"mandelbrot=s={request.param}:r=30:start_scale=0.02:end_scale=0.002:end_pts=30,gblur=1.5"
    ffmpeg(["-f", "lavfi", "-i", source, "-t", "0.3", "-c:v", "ffv1", "-pix_fmt", "yuv420p", str(path)])
    extract_frames(path, folder / "jpegs", ExtractConfig(30, 320, 2, 60, 1), FFMPEG)
    stored = NewVideos()
    stored.jpegs["a"] = [memoryview(jpeg.read_bytes()) for jpeg in sorted((folder / "jpegs").glob("*.jpg"))]
    return stored, raw_frames(path).reshape(-1, height, width, 3)


def raw_frames(path: Path) -> np.ndarray:
    """With colours between those of its 2 x 2 pixels, as JPEG decoders have them; by itself FFmpeg repeats them."""
    exact = "scale=flags=bilinear+accurate_rnd+full_chroma_int"
    command = [FFMPEG, "-v", "error", "-i", str(path), "-vf", exact, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    return np.frombuffer(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout, np.uint8)


def by_pillow(frame: np.ndarray, size: tuple[int, int], box: Box) -> np.ndarray:
    """A frame at a size (H, W), and a box of it."""
    resized = np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling.BILINEAR))
    return resized[box.top : box.top + box.height, box.left : box.left + box.width]


def stored_size(frame: np.ndarray) -> tuple[int, int]:
    """Height and width of its JPEG: a short side of 320 at most, and even sides."""
    short = min(frame.shape[:2])
    height, width = (2 * round(side * min(320, short) / short / 2) for side in frame.shape[:2])
    return height, width


def at_short_side(frame: np.ndarray, side: int) -> tuple[int, int]:
    """Height and width of the stored frame when its short side is `side`, rounded down."""
    height, width = stored_size(frame)
    return height * side // min(height, width), width * side // min(height, width)


def allowed(frames: np.ndarray) -> float:
    """The mean error allowed of a video."""
    return RESAMPLED if min(frames.shape[1:3]) > 320 else MOST_ERROR


def error(clip: np.ndarray, frames: list[np.ndarray]) -> float:
    """The mean difference between a clip (3, T, H, W) and its frames (H, W, 3)."""
    return float(np.abs(clip.astype(int) - np.stack(frames).transpose(3, 0, 1, 2)).mean())


def views_of(stored: NewVideos, side: int, crop: int | None) -> list[tuple[np.ndarray, list[int], Box]]:
    """Every view at a scale: its clip, the frames of the video that it shows, and its box."""
    grid = views.grid(Scale(side, crop or side), ViewConfig(clips=2, sides=(side,), crop=crop))
    decoded = dataset.decode_video(stored, "a", [ViewSpec(SAMPLER, grid)])
    found = []
    for view, crop_of in zip(grid.views, decoded.crops[0], strict=True):
        indices = sampling.testing_clips(SAMPLER, stored.frames("a"), view.clips)[view.clip]
        found.append((crop_of.pixels(decoded.frames).numpy(), indices.tolist(), crop_of.box))
    return found


@pytest.mark.parametrize(("side", "crop"), [(128, None), (144, 112), (160, None), (256, 224), (256, None), (320, 256)])
def test_every_view_shows_what_ffmpeg_and_pillow_show(video: tuple[NewVideos, np.ndarray], side: int, crop: int | None):
    stored, frames = video
    for clip, indices, box in views_of(stored, side, crop):
        assert clip.shape == (3, 3, crop or side, crop or side)
        size = at_short_side(frames[0], side)
        assert error(clip, [by_pillow(frames[index], size, box) for index in indices]) <= allowed(frames)


@pytest.mark.parametrize("sides", [(112, 112), (128, 160), (256, 320)])
def test_a_random_side_shows_what_ffmpeg_and_pillow_show(
    video: tuple[NewVideos, np.ndarray], sides: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    sizes, resize = [], transforms.resize_short_side

    def listed(frames: Tensor, side: int) -> Tensor:
        resized = resize(frames, side)
        sizes.append(tuple(resized.shape[-2:]))
        return resized

    monkeypatch.setattr(transforms, "resize_short_side", listed)
    config = AugmentConfig("random_side", 112, sides=sides)
    for clip, indices, box, mirrored in training_clips(video, config, monkeypatch):
        wanted = [by_pillow(video[1][index], sizes[-1], box)[:, :: -1 if mirrored else 1] for index in indices]
        assert sides[0] <= min(sizes[-1]) <= sides[1]
        assert error(clip, wanted) <= RESAMPLED


@pytest.mark.parametrize("crop", [112, 224])
def test_a_jittered_crop_shows_what_ffmpeg_and_pillow_show(
    video: tuple[NewVideos, np.ndarray], crop: int, monkeypatch: pytest.MonkeyPatch
):
    _, frames = video
    short = min(frames.shape[1:3])
    config = AugmentConfig("scale_jitter", crop, ratios=(1, 0.875, 0.75, 0.66))
    for clip, indices, box, mirrored in training_clips(video, config, monkeypatch):
        share = short / min(320, short)  # of a larger video, the box lies in the stored frames
        edges = [share * edge for edge in (box.left, box.top, box.left + box.width, box.top + box.height)]
        wanted = [
            np.asarray(Image.fromarray(frames[index]).resize((crop, crop), Image.Resampling.BILINEAR, tuple(edges)))
            for index in indices
        ]
        assert error(clip, [picture[:, :: -1 if mirrored else 1] for picture in wanted]) <= allowed(frames)


def training_clips(video, config, monkeypatch):
    """Some training clips, each with its frames, its box and whether it is mirrored, as it was drawn."""
    stored, drawn, crop, train = video[0], [], transforms.crop, transforms.training_crop
    monkeypatch.setattr(transforms, "crop", lambda frames, box: drawn.append(box) or crop(frames, box))
    monkeypatch.setattr(transforms, "training_crop", lambda *drawing: drawn.append(train(*drawing)) or drawn[-1])
    records = [
        VideoRecord("a" if split == "train" else split, split, split, "x", split) for split in ("train", "val", "test")
    ]
    clips = TrainDataset(Manifest.from_records(records, ["x"]).split("train"), stored, SAMPLER, config, seed=0)
    for epoch in range(4):
        drawn.clear()
        indices = sampling.training_clip(SAMPLER, stored.frames("a"), dataset.generator(0, epoch, "a"))
        clip, _ = clips[epoch, 0]
        yield clip.numpy(), indices.tolist(), drawn[0], drawn[1][1]


def test_what_is_off_by_one_would_show(video: tuple[NewVideos, np.ndarray]):
    stored, frames = video
    size = at_short_side(frames[0], 128)
    for clip, indices, box in views_of(stored, 128, 112):
        for edge, at in (("left", box.left), ("top", box.top)):
            moved = Box(**(vars(box) | {edge: at - 1 if at else 1}))
            assert error(clip, [by_pillow(frames[index], size, moved) for index in indices]) > allowed(frames)
        assert error(clip, [by_pillow(frames[index - 1], size, box) for index in indices]) > allowed(frames)

"""A dozen real clips, recorded with FFmpeg's own test sources in several containers and codecs."""

import csv
import subprocess
from pathlib import Path

import imageio_ffmpeg

FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()

CLIPS: dict[str, tuple[str, ...]] = {
    "h264.mp4": ("-f lavfi -i testsrc2=s=160x96:r=30:d=1", "-c:v libx264 -pix_fmt yuv420p"),
    "vp9.webm": ("-f lavfi -i testsrc2=s=160x96:r=25:d=1", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8"),
    "mpeg4.avi": ("-f lavfi -i mandelbrot=s=128x96:r=15 -t 1", "-c:v mpeg4"),
    "hevc.mkv": ("-f lavfi -i testsrc=s=160x120:r=24:d=1", "-c:v libx265 -x265-params log-level=none"),
    "odd_size.mkv": ("-f lavfi -i testsrc=s=161x97:r=30:d=1", "-c:v ffv1"),
    "upright.mp4": ("-f lavfi -i smptebars=s=96x160:r=30:d=1", "-c:v libx264 -pix_fmt yuv420p"),
    "short.mp4": ("-f lavfi -i testsrc2=s=160x96:r=30:d=0.1", "-c:v libx264 -pix_fmt yuv420p"),
    "variable rate.mkv": (
        "-f lavfi -i testsrc2=s=160x96:r=30:d=1",
        "-vf select='not(mod(n,3))+lt(n,10)' -fps_mode vfr -c:v libx264 -pix_fmt yuv420p",
    ),
    "nicht-ASCII/grün.mp4": ("-f lavfi -i color=green:s=160x96:r=30:d=1", "-c:v libx264 -pix_fmt yuv420p"),
    "anamorphic.mp4": ("-f lavfi -i testsrc2=s=96x96:r=30:d=1", "-vf setsar=2 -c:v libx264 -pix_fmt yuv420p"),
    "with_sound.mp4": (
        "-f lavfi -i testsrc2=s=160x96:r=30:d=1 -f lavfi -i sine=d=1",
        "-c:v libx264 -pix_fmt yuv420p -c:a aac",
    ),
    "sound_only.mp4": ("-f lavfi -i sine=d=1", "-c:a aac"),
}
ROTATED = "rotated.mov"
LABELS = ("moving", "still")


def ffmpeg(arguments: list[str]) -> None:
    subprocess.run([FFMPEG, "-hide_banner", "-loglevel", "error", "-y", *arguments], check=True)


def record(folder: Path) -> None:
    """Write every clip of CLIPS, and one whose rotation is metadata."""
    for name, (source, codec) in CLIPS.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        ffmpeg([*source.split(), *codec.split(), "-threads", "1", str(path)])
    ffmpeg(["-display_rotation", "90", "-i", str(folder / "h264.mp4"), "-c", "copy", str(folder / ROTATED)])


def take(clip: Path, path: Path) -> None:
    """Write an MP4 of the same pictures, which is no copy: it ends with an empty box that holds its own name."""
    name = f"{path.parent.name}/{path.name}".encode()
    path.write_bytes(clip.read_bytes() + (8 + len(name)).to_bytes(4, "big") + b"free" + name)


def annotate(folder: Path, header: str = "path,labels,split") -> Path:
    """The CSV of the recorded clips: every third is val, every third test."""
    path = folder / "labels.csv"
    names = [*CLIPS, ROTATED]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header.split(","))
        for number, name in enumerate(names):
            labels = [LABELS[number % 2]] if number % 4 else list(LABELS)
            row = [name, ";".join(labels), ("train", "val", "test")[number % 3]]
            writer.writerow(row[: len(header.split(","))])
    return path

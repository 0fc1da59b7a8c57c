"""More than a hundred kinds of odd and broken files, made with FFmpeg and byte surgery, and what is to come of each.

`KINDS` holds them by name. What comes of a file follows from how it is made: `FRAMES` or the reason in broken.tsv.
"""

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.support.corpus import ffmpeg

Make = Callable[[Path, Path], None]
"""Writes a file: `make(healthy, target)`, with the folder of the healthy files."""
FRAMES = "frames"
SECONDS = 2
PICTURES = f"-f lavfi -i testsrc2=s=160x120:r=30:d={SECONDS}"
YUV = "-pix_fmt yuv420p"
KEYS = (
    "-encryption_scheme cenc-aes-ctr -encryption_kid a7e61c373e219033c21091fa607bf3b8"
    " -fflags +bitexact -encryption_key"  # the same start of the cipher each time
)
KEY = "76a6c65c5ea762046bd749a2e632ccbb"
HEVC = "-c:v libx265 -x265-params log-level=none"
RED = "-f lavfi -i color=red:d=0.04:r=25"
FIRST, THEN = "-disposition:v:0", "-disposition:v:1"
CODECS = {
    "h264.mp4": "-c:v libx264",
    "h264.fast.mp4": "-c:v libx264 -movflags faststart",
    "h264.frag.mp4": "-c:v libx264 -g 15 -movflags frag_keyframe+empty_moov",
    "h264.mov": "-c:v libx264",
    "h264.mkv": "-c:v libx264",
    "h264.ts": "-c:v libx264",
    "h264.avi": "-c:v libx264 -bf 0",
    "h264.flv": "-c:v libx264",
    "h264.h264": "-c:v libx264",
    "hevc.mp4": "-c:v libx265 -x265-params log-level=none",
    "hevc.mkv": "-c:v libx265 -x265-params log-level=none",
    "vp8.webm": "-c:v libvpx -b:v 300k",
    "vp9.webm": "-c:v libvpx-vp9 -deadline realtime -cpu-used 8",
    "av1.mp4": "-c:v libaom-av1 -cpu-used 8 -usage realtime",
    "mpeg4.avi": "-c:v mpeg4",
    "mpeg4.mp4": "-c:v mpeg4 -bf 2",
    "mpeg2.ts": "-c:v mpeg2video",
    "mpeg2.mpg": "-c:v mpeg2video -bf 2",
    "mpeg1.mpg": "-c:v mpeg1video",
    "mjpeg.avi": "-c:v mjpeg",
    "theora.ogv": "-c:v libtheora",
    "wmv2.wmv": "-c:v wmv2",
    "flv1.flv": "-c:v flv",
    "prores.mov": "-c:v prores",
    "ffv1.mkv": "-c:v ffv1",
    "h263.3gp": "-s 176x144 -c:v h263",
    "huffyuv.avi": "-c:v huffyuv",
    "raw.avi": "-c:v rawvideo",
    "mpeg2.mxf": "-c:v mpeg2video",
    "msmpeg4.asf": "-c:v msmpeg4",
    "gif.gif": "-r 25",
    "ffv1.nut": "-c:v ffv1",
}
"""Healthy files -> how they are encoded."""


@dataclass(frozen=True)
class Kind:
    """A kind of file."""

    make: Make
    outcome: str
    """FRAMES, or the reason; several, with blanks between, where it depends on the version of FFmpeg."""
    frames: int | None = None
    """Number of frames at 30 a second, within 2; None where any number will do."""


def record(folder: Path) -> None:
    """Write the healthy files that the others are made of."""
    for name, codec in CODECS.items():
        pixels = {"mjpeg.avi": "-pix_fmt yuvj420p", "prores.mov": "", "gif.gif": ""}.get(name, YUV)
        ffmpeg([*f"{PICTURES} {pixels} {codec} -threads 1".split(), str(folder / name)])


def encoded(*arguments: str) -> Make:
    """What FFmpeg writes; ``{}`` in an argument is the folder of healthy files."""

    def make(healthy: Path, target: Path) -> None:
        split = [part for argument in arguments for part in argument.split("\t")]
        ffmpeg([part.replace("{}", str(healthy)) for part in split] + [str(target)])

    return make


def words(line: str) -> Make:
    """What FFmpeg writes for a line of arguments without blanks in them."""
    return encoded(*line.split())


def content(data: bytes) -> Make:
    """A file of these bytes."""
    return lambda healthy, target: target.write_bytes(data) and None


def changed(name: str, change: Callable[[bytearray], bytes | bytearray]) -> Make:
    """A healthy file whose bytes are changed."""
    return lambda healthy, target: target.write_bytes(change(bytearray((healthy / name).read_bytes()))) and None


def noise(size: int) -> bytes:
    """Random bytes, always the same."""
    return np.random.default_rng(1).bytes(size)


def zeroed(data: bytearray) -> bytearray:
    """Zeros from 25% to 75%, where the pictures lie."""
    start, end = len(data) // 4, len(data) * 3 // 4
    data[start:end] = bytes(end - start)
    return data


def flipped(data: bytearray) -> bytearray:
    """200 flipped bits between 15% and 85%."""
    chance = np.random.default_rng(0)
    for place in chance.integers(len(data) * 15 // 100, len(data) * 85 // 100, 200):
        data[place] ^= 1 << int(chance.integers(8))
    return data


def half(data: bytearray) -> bytearray:
    """The first half."""
    return data[: len(data) // 2]


def most(data: bytearray) -> bytearray:
    """The first 95%."""
    return data[: len(data) * 95 // 100]


def boxed(name: bytes, offset: int, value: bytes) -> Callable[[bytearray], bytearray]:
    """Other bytes in the first MP4 box of a name, `offset` bytes behind its name."""

    def change(data: bytearray) -> bytearray:
        place = data.index(name) + 4 + offset
        data[place : place + len(value)] = value
        return data

    return change


def without(name: bytes) -> Callable[[bytearray], bytearray]:
    """The first MP4 box of a name turned into a free one."""
    return boxed(name, -4, b"free")


def _png() -> bytes:
    """A PNG whose header says 60000 x 60000."""
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return b"\x89PNG\r\n\x1a\n" + chunk


HEALTHY = {name: Kind(changed(name, bytes), FRAMES, 60) for name in CODECS}
ZEROED = {
    f"zeroed {name}": Kind(changed(name, zeroed), "damaged partial decode_failed")
    for name in CODECS
    if name
    not in ("raw.avi", "wmv2.wmv", "gif.gif", "h264.h264", "huffyuv.avi", "h264.frag.mp4")  # nobody could notice
}
FLIPPED = {
    f"flipped {name}": Kind(changed(name, flipped), "damaged partial")
    for name in (
        *("h264.fast.mp4", "h264.mkv", "h264.ts", "h264.avi", "hevc.mkv", "mpeg4.avi", "mpeg4.mp4", "mpeg2.ts"),
        *("mpeg2.mpg", "mpeg1.mpg", "theora.ogv", "flv1.flv", "h263.3gp", "gif.gif", "ffv1.mkv", "wmv2.wmv"),
    )
}
HALVES = {
    f"half of {name}": Kind(changed(name, half), outcome)
    for name, outcome in {
        **dict.fromkeys(("h264.mp4", "h264.mov", "hevc.mp4", "av1.mp4", "mpeg4.mp4", "prores.mov"), "truncated"),
        **dict.fromkeys(("h264.fast.mp4", "h264.mkv", "hevc.mkv", "vp8.webm", "vp9.webm", "ffv1.mkv"), "partial"),
        **dict.fromkeys(("mpeg4.avi", "mjpeg.avi", "h264.avi"), "partial"),
        **dict.fromkeys(("h264.ts", "mpeg2.ts", "h264.frag.mp4", "theora.ogv", "mpeg1.mpg"), FRAMES),  # no promise
    }.items()
}
NEARLY_WHOLE = {
    f"most of {name}": Kind(changed(name, most), FRAMES) for name in ("h264.fast.mp4", "h264.mkv", "vp9.webm")
}
ENCRYPTED = {
    f"encrypted {codec}.mp4": Kind(words(f"{PICTURES} {YUV} {options} {KEYS} {key}"), "encrypted")
    for codec, options, key in (
        ("h264", "-c:v libx264", KEY),
        ("hevc", HEVC, KEY),
        ("hevc of which a picture decodes", HEVC, f"{217:032x}"),  # found by trying, with the pinned FFmpeg
        ("hevc of which a few decode", HEVC, f"{906:032x}"),
        ("vp9", "-c:v libvpx-vp9 -deadline realtime -cpu-used 8", KEY),
        ("mpeg4", "-c:v mpeg4", KEY),
    )
}
REFERRING = {
    name: Kind(content(text.encode()), "refers_elsewhere")
    for name, text in {
        "hls.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nh264.ts\n#EXT-X-ENDLIST\n",
        "hls.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nfile:///h264.ts\n#EXT-X-ENDLIST\n",
        "hls.ts": "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\nhttp://127.0.0.1:1/h264.ts\n#EXT-X-ENDLIST\n",
        "concat.mp4": "ffconcat version 1.0\nfile h264.mp4\n",
        "concat.txt": "ffconcat version 1.0\nfile file:h264.mp4\n",
        "sdp.mp4": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n"
        "a=rtpmap:96 H264/90000\n",
        "dash.mp4": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
        ' profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT2S"><Period>'
        '<AdaptationSet contentType="video"><Representation id="0" codecs="avc1"><BaseURL>h264.mp4</BaseURL>'
        "</Representation></AdaptationSet></Period></MPD>\n",
    }.items()
}
STILLS = {
    **{
        f"still.{suffix}": Kind(words(f"{PICTURES} -frames:v 1"), "still")
        for suffix in ("jpg", "png", "bmp", "webp", "gif", "tiff", "mp4", "mkv", "avi")
    },
    "still named as a video.mp4": Kind(words(f"{PICTURES} -frames:v 1 -f image2 -c:v mjpeg -update 1"), "still"),
    "one picture for 20 s.mkv": Kind(words(f"{PICTURES} -frames:v 1 -vf setpts=N*20/TB {YUV}"), "still"),
    "huge.png": Kind(content(_png()), "still"),
}
NO_VIDEO = {
    **{
        f"sound.{suffix}": Kind(words("-f lavfi -i sine=d=1"), "no_video_stream")
        for suffix in ("wav", "mp3", "m4a", "flac", "ogg", "mkv", "ts")
    },
    "sound with a cover.mp3": Kind(
        words(f"-f lavfi -i sine=d=1 {RED}:s=64x64 -map 0 -map 1 -c:v mjpeg {FIRST} attached_pic -frames:v 1"),
        "no_video_stream",
    ),
    "sound with a cover.m4a": Kind(
        words(f"-f lavfi -i sine=d=1 {RED}:s=64x64 -map 0 -map 1 -c:v mjpeg {FIRST} attached_pic -frames:v 1 -f mp4"),
        "no_video_stream",
    ),
    "without its video.mp4": Kind(changed("h264.mp4", without(b"trak")), "no_video_stream"),
    "text.mp4": Kind(content(b"This is not a video.\n" * 400), "not_a_video"),
    "markup.mp4": Kind(content(b"<!DOCTYPE html><html><body>404 Not Found</body></html>"), "not_a_video"),
    "zip.mp4": Kind(content(b"PK\x03\x04" + bytes(range(256)) * 40), "not_a_video"),
    "zeros.mp4": Kind(content(bytes(100_000)), "not_a_video"),
    "noise.mp4": Kind(content(noise(3_000)), "not_a_video"),
    "one byte.mp4": Kind(content(b"x"), "not_a_video"),
    "empty.mp4": Kind(content(b""), "empty"),
    "subtitles.mp4": Kind(content(b"1\n00:00:00,000 --> 00:00:01,000\nHello\n\n"), "not_a_video"),
    "a header alone.mp4": Kind(
        words(f"{PICTURES} {YUV} -t 0.000001 -movflags empty_moov+frag_keyframe -frames:v 0"),
        "partial no_video_stream not_a_video",
    ),
    "after 100 kB of zeros.mp4": Kind(changed("h264.mp4", lambda data: bytes(100_000) + data), "not_a_video truncated"),
}
METADATA = {
    f"its title says {number}.{suffix}": Kind(
        encoded(
            "-i",
            "{}/h264.mp4",
            "-c",
            "copy",
            "-metadata",
            f"title={title}",
            "-metadata:s",
            f"title={title}",
            "-metadata",
            f"comment={title}",
        ),
        FRAMES,
        60,
    )
    for suffix in ("mp4", "mkv")
    for number, title in enumerate(
        (
            "[error] Error muxing a packet",
            "[out#0/image2 @ 0x1] [error] Error muxing a packet: No space left on device",
            "x\n[h264 @ 0x5581] [error] Cannot allocate memory",
            "x\n[info]   Duration: 10:00:00.00, start: 0.0",
            "x\nmoov atom not found, misdetection possible",
            "x\n[info] Stream mapping:\n[vist#0:0/h264 @ 0x1] [dec:h264 @ 0x1] [warning] corrupt decoded frame",
        )
    )
}
STREAMS = {
    "thumbnail, then video.mkv": Kind(
        words(f"{RED}:s=640x480 -i {{}}/h264.mp4 -map 0 -map 1 -c:v:0 mjpeg -c:v:1 copy {FIRST} 0 {THEN} default"),
        FRAMES,
        60,
    ),
    "still, then video, both default.mkv": Kind(
        words(
            f"{RED}:s=640x480 -i {{}}/h264.mp4 -map 0 -map 1 -c:v:0 libx264 -c:v:1 copy {FIRST} default {THEN} default"
        ),
        FRAMES,
        60,
    ),
    "cover, then video.mp4": Kind(
        words(f"{RED}:s=64x64 -i {{}}/h264.mp4 -map 0 -map 1 -c:v:0 mjpeg -c:v:1 copy {FIRST} attached_pic"),
        FRAMES,
        60,
    ),
    "sound is longer.mp4": Kind(words("-i {}/h264.mp4 -f lavfi -i sine=d=9 -c:v copy -c:a aac"), FRAMES, 60),
    "sound is longer.mkv": Kind(words("-i {}/h264.mp4 -f lavfi -i sine=d=9 -c:v copy -c:a aac"), FRAMES, 60),
    "sound is shorter.mkv": Kind(words("-i {}/h264.mp4 -f lavfi -i sine=d=0.5 -c:v copy -c:a aac"), FRAMES, 60),
    "two videos, the default one is smaller.mkv": Kind(
        words(f"{PICTURES} -f lavfi -i testsrc=s=320x240:d=1 -map 0 -map 1 {FIRST} default {THEN} 0 {YUV}"),
        FRAMES,
        60,
    ),
}
TIMES = {
    "starts at 8 s.mp4": Kind(words("-i {}/h264.mp4 -c copy -output_ts_offset 8"), FRAMES),
    "starts at 8 s.ts": Kind(words("-i {}/h264.mp4 -c copy -output_ts_offset 8"), FRAMES, 60),
    "starts at 8 s.mkv": Kind(words("-i {}/h264.mp4 -c copy -output_ts_offset 8"), FRAMES, 60),
    "starts before 0.mkv": Kind(
        words(f"{PICTURES} {YUV} -c:v libx264 -avoid_negative_ts disabled -output_ts_offset -0.5"), FRAMES
    ),
    "edit list.mp4": Kind(words("-ss 0.5 -i {}/h264.mp4 -c copy"), FRAMES),
    "1000 a second.mkv": Kind(
        words(f"-f lavfi -i testsrc2=s=64x48:r=1000:d=1 {YUV} -c:v libx264 -preset ultrafast"), FRAMES, 30
    ),
    "1 a second.mp4": Kind(words(f"-f lavfi -i testsrc2=s=64x48:r=1:d=4 {YUV} -c:v libx264"), FRAMES, 120),
    "slides of 3 s.mkv": Kind(words(f"-f lavfi -i testsrc2=s=64x48:r=1/3:d=9 {YUV} -c:v libx264"), FRAMES),
    "holes.mkv": Kind(words(f"{PICTURES} -vf select=not(mod(n\\,5)) -fps_mode vfr {YUV}"), FRAMES),
    "a gap of an hour.mkv": Kind(
        words(f"{PICTURES} -vf setpts=PTS+gt(N\\,9)*3600/TB -fps_mode vfr {YUV}"), "too_large"
    ),
    "a gap of an hour.mp4": Kind(
        words(f"{PICTURES} -vf setpts=PTS+gt(N\\,9)*3600/TB -fps_mode vfr {YUV}"), "too_large"
    ),
    "says 100 hours.mp4": Kind(changed("h264.mp4", boxed(b"mvhd", 16, b"\x15\x00\x00\x00")), FRAMES, 60),
}
SIZES = {
    "2x2.mkv": Kind(words("-f lavfi -i testsrc2=s=2x2:d=1 -c:v ffv1"), FRAMES),
    "1x1.mkv": Kind(words("-f lavfi -i color=red:s=1x1:d=1 -c:v ffv1 -pix_fmt gray"), FRAMES),
    "odd sides.mkv": Kind(words("-f lavfi -i testsrc2=s=161x97:d=1 -c:v ffv1"), FRAMES, 30),
    "4000x2.mkv": Kind(words("-f lavfi -i testsrc2=s=4000x2:d=1 -c:v ffv1"), "too_large"),
    "pixels 90 times as wide.mp4": Kind(words(f"{PICTURES} -vf setsar=90 {YUV} -c:v libx264 -f mp4"), "too_large"),
    "pixels 90 times as high.mp4": Kind(words(f"{PICTURES} -vf setsar=1/90 {YUV} -c:v libx264 -f mp4"), "too_large"),
    "pixels twice as wide.mkv": Kind(words(f"{PICTURES} -vf setsar=2 -c:v ffv1"), FRAMES, 60),
    "9000x9000.mkv": Kind(words("-f lavfi -i color=red:s=9000x9000:d=0.08:r=25 -c:v mjpeg"), "too_large"),
}
SURGERY = {
    "junk behind.mp4": Kind(changed("h264.mp4", lambda data: data + noise(9_999)), FRAMES, 60),
    "junk behind.mkv": Kind(changed("h264.mkv", lambda data: data + noise(9_999)), FRAMES, 60),
    "junk before.ts": Kind(changed("h264.ts", lambda data: noise(777) + data), FRAMES),
    "mdat too long.mp4": Kind(changed("h264.mov", boxed(b"mdat", -8, b"\x7f\xff\xff\xff")), "truncated"),
    "size of samples.mp4": Kind(
        changed("h264.fast.mp4", boxed(b"stsz", 8, b"\x7f\xff\xff\xff")),
        "damaged decode_failed partial still truncated not_a_video no_video_stream",
    ),
    "sizes of 65535.mp4": Kind(changed("h264.fast.mp4", boxed(b"avc1", 24, b"\xff\xff\xff\xff")), "too_large frames"),
    "no decoder settings.mp4": Kind(changed("h264.fast.mp4", without(b"avcC")), "decode_failed damaged"),
    "no sizes of samples.mp4": Kind(
        changed("h264.fast.mp4", without(b"stsz")), "partial decode_failed truncated not_a_video"
    ),
    "no places of samples.mp4": Kind(
        changed("h264.fast.mp4", without(b"stco")), "partial decode_failed truncated not_a_video"
    ),
    "unknown codec.mp4": Kind(
        changed("h264.fast.mp4", lambda data: without(b"avcC")(boxed(b"avc1", -4, b"qqqq")(data))), "decode_failed"
    ),
    "every 20th packet lost.ts": Kind(
        changed("mpeg2.ts", lambda data: b"".join(data[n : n + 188] for n in range(0, len(data), 188) if n % 3760)),
        "damaged",
    ),
    "two joined.ts": Kind(changed("h264.ts", lambda data: data + data), FRAMES),
    "half, then another half.ts": Kind(
        changed("mpeg2.ts", lambda data: data[: len(data) // 2] + data[len(data) // 2 + 1880 :]), FRAMES
    ),
}
KINDS: dict[str, Kind] = {
    **HEALTHY, **ZEROED, **FLIPPED, **HALVES, **NEARLY_WHOLE, **ENCRYPTED, **REFERRING, **STILLS, **NO_VIDEO,
    **METADATA, **STREAMS, **TIMES, **SIZES, **SURGERY,
}  # fmt: skip

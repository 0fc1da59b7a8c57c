"""How much of a video is damaged, from what FFmpeg says of each packet and each picture; counted by hand."""

from collections.abc import Sequence

import pytest

from pipeline.extraction import damage
from pipeline.extraction.ffmpeg_log import FFmpegLog

KINDS = {"I": 1, "P": 2, "B": 3}


def log(decoding: Sequence[int], shown: str, failed: bool = False) -> FFmpegLog:
    """FFmpeg's log of pictures that are decoded in the order `decoding` of their times.

    `shown` has a letter for each picture as it is shown, with `!` behind one that is marred; `x` is a packet that does
    not decode, `.` one that gives no picture.
    """
    made = FFmpegLog()
    made.hear(b"[info] Stream mapping:")
    for pts in decoding:
        packet = f"demuxer+ffmpeg -> ist_index:0:0 type:video pkt_pts:{pts} pkt_pts_time:0 pkt_dts:0 pkt_dts_time:0"
        made.hear(f"[vist#0:0/h264 @ 0x5] [info] {packet} duration:1 duration_time:1 off:0 off_time:0".encode())
    decoder = b"[vist#0:0/h264 @ 0x5] [dec:h264 @ 0x6]"
    time = -1
    for place, letter in enumerate(shown):
        if letter == "!":
            continue
        time += 1
        if letter == "x":
            made.hear(decoder + b" [error] Error submitting packet to decoder: Invalid data found")
        elif letter != ".":
            if shown[place + 1 : place + 2] == "!":
                made.hear(decoder + b" [warning] corrupt decoded frame")
            times = f"pts:{time} pts_time:0 pkt_dts:0 pkt_dts_time:0 duration:1 duration_time:1 keyframe:0"
            made.hear(decoder + f" [info] decoder -> {times} frame_type:{KINDS[letter]} time_base:1/10".encode())
    if failed:
        made.hear(b"[in#0/ogg @ 0x7] [error] CRC mismatch!")
    return made


@pytest.mark.parametrize(
    ("decoding", "shown", "pictures", "decoded", "damaged"),
    [
        (range(6), "IPPPPP", 6, 6, 0),
        (range(6), "IPP!PPP", 6, 6, 4),  # all that follow lean on it
        (range(6), "IPP!PIP", 6, 6, 2),  # up to the next that leans on none
        (range(6), "I!PPPIP", 6, 6, 4),
        (range(6), "I!PPPI!P", 6, 6, 6),
        (range(6), "IPxPPP", 6, 5, 4),
        (range(6), "IPxPIP", 6, 5, 2),
        (range(6), "xxxIPP", 6, 3, 3),
        ((0, 3, 1, 2, 5, 4), "IBBPBP", 6, 6, 0),
        ((0, 3, 1, 2, 5, 4), "IB!BPBP", 6, 6, 1),  # no other leans on it
        ((0, 3, 1, 2, 5, 4), "IBBP!BP", 6, 6, 5),  # decoded before the two that are shown before it
        ((0, 3, 1, 2, 5, 4), "IxBPBP", 6, 5, 1),
        ((0, 3, 1, 2, 5, 4), "IBBxBP", 6, 5, 5),
        (range(6), "IPPPP.", 5, 5, 0),  # an edit list leaves it out
    ],
)
def test_pictures_that_lean_on_damaged_ones_are_damaged(
    decoding: Sequence[int], shown: str, pictures: int, decoded: int, damaged: int
):
    assert damage.count(log(decoding, shown)) == (pictures, decoded, damaged)


def test_holes_in_time_are_lost_pictures_where_there_were_errors():
    variable_rate = log((), "IP...PP.P")

    assert damage.count(variable_rate) == (5, 5, 0)
    assert damage.count(log((), "IP...PP.P", failed=True)) == (9, 5, 4)


@pytest.mark.parametrize(
    ("packets", "shown", "pictures"),
    [
        ((0, 1, 5, 6, 8), "IP...PP.P", 5),
        ((0, 1, 2, 3, 5, 6, 8), "IP...PP.P", 7),  # two packets without pictures lie in the first gap
        ((0, 1, 5, 6, 8), "IP!...PP.P", 8),  # pictures are gone with those that marred the second
    ],
)
def test_where_the_decoder_had_errors_gaps_are_holes_that_hold_packets_or_lie_beside_a_marred_picture(
    packets: Sequence[int], shown: str, pictures: int
):
    variable_rate = log(packets, shown)
    variable_rate.hear(b"[h264 @ 0x7] [error] non-existing PPS 0 referenced")

    assert damage.count(variable_rate)[0] == pictures


def test_what_probing_prints_of_any_stream_makes_no_holes():
    probed = FFmpegLog()
    probed.hear(b"[aac @ 0x7] [error] channel element 3.13 is not allocated")

    assert (probed.errors, probed.words) == (0, "channel element 3.13 is not allocated")


def test_a_missing_reference_before_the_first_picture_is_that_of_a_skipped_one():
    missing = b"[hevc @ 0x7] [error] Could not find ref with POC 5"
    picture = (
        b"[dec:hevc @ 0x6] [info] decoder -> pts:%d pts_time:0 duration:1 duration_time:0 frame_type:%d time_base:1/10"
    )
    heard = FFmpegLog()
    for line in (b"[info] Stream mapping:", missing, picture % (3, 1), picture % (4, 2), missing, picture % (5, 2)):
        heard.hear(line)

    assert [shown.marred for shown in heard.pictures if shown] == [False, False, True]


def test_without_timestamps_a_failure_spoils_what_follows():
    unknown = log((), "IBxBPIP")

    assert damage.count(unknown) == (7, 6, 3)


def test_a_packet_that_the_container_knows_to_be_damaged_counts():
    said = log(range(4), "IIII")
    said.hear(b"[in#0/avi @ 0x5] [warning] corrupt input packet in stream 0")

    assert damage.count(said) == (4, 4, 1)


def test_the_length_is_that_of_the_pictures_and_of_lost_packets():
    assert damage.seconds(log(range(6), "IPPP..")) == pytest.approx(0.4)
    assert damage.seconds(log(range(6), "IPPPxx")) == pytest.approx(0.6)
    assert damage.seconds(log((), "")) == 0


@pytest.mark.parametrize(
    "line",
    [
        "[info]     title           : [error] Error muxing a packet",
        "[info]     comment         : [vist#0:0/h264 @ 0x5] [dec:h264 @ 0x6] [warning] corrupt decoded frame",
        "[info]                     : [error] Cannot allocate memory",
    ],
)
def test_what_a_title_says_is_not_ffmpegs(line: str):
    said = FFmpegLog()
    said.hear(b"[info]   Metadata:")
    said.hear(line.encode())
    said.hear(b"[info] Stream mapping:")

    assert said.words == ""
    assert not any(said.says(words) for words in ("muxing", "corrupt", "memory"))
    assert (said.errors, said.pictures) == (0, [])


def test_the_order_in_which_ffmpegs_threads_speak_changes_no_word():
    lines = ["[h264 @ 0x5581] [error] one", "[mov @ 0x77f0] [warning] two", "[error] three", "[info] no matter"]
    for said in (lines, lines[::-1], lines + lines):
        heard = FFmpegLog()
        for line in said:
            heard.hear(line.encode())
        assert heard.words == "one | three | two"

"""Near-doubles: videos that show the same in other bytes, found by what moves in them."""

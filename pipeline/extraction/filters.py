"""FFmpeg's filters between a video's pictures and the JPEGs: rate, size."""


def chain(fps: int, short_side: int) -> str:
    """The filters that make JPEGs of `fps` a second and a short side of at most `short_side` pixels, even."""
    half = f"max(1,min({short_side // 2},trunc(min(iw*sar,ih)/2)))"
    width = f"2*if(lt(iw*sar,ih),{half},round({half}*iw*sar/ih))"
    height = f"2*if(lt(iw*sar,ih),round({half}*ih/(iw*sar)),{half})"
    scale = f"scale=w='{width}':h='{height}':flags=bicubic:out_range=full"
    return f"fps={fps},{scale},setsar=1"

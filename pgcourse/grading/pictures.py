"""How large a picture is, by its first bytes: a small file may hold more pixels than a browser has memory for."""

import struct

MAX_PIXELS = 4096  # of a side
MAX_SEGMENTS = 1000  # before a JPEG says its size
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}


def is_drawable(blob):
    """Whether bytes begin as a PNG or a JPEG of a size that a browser can draw."""
    size = _of_png(blob) or _of_jpeg(blob)
    return bool(size) and all(0 < side <= MAX_PIXELS for side in size)


def is_png(blob):
    return blob[:8] == b"\x89PNG\r\n\x1a\n" and blob[12:16] == b"IHDR"


def _of_png(blob):
    return struct.unpack(">II", blob[16:24].ljust(8, b"\0")) if is_png(blob) else None


def _of_jpeg(blob):
    place = 2
    for _ in range(MAX_SEGMENTS if blob[:2] == b"\xff\xd8" else 0):
        head = blob[place : place + 9]
        if len(head) < 9 or head[0] != 0xFF:
            return None
        if head[1] in _FRAMES:
            return struct.unpack(">HH", head[5:9])
        place += 2 + int.from_bytes(head[2:4])
    return None

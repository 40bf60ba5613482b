"""Messages between the judge and the jail: a JSON header, then raw numeric arrays. Nothing is unpickled or evaluated.

A message is eight bytes that say how long the header is, the header, and the blobs whose lengths the header lists.
Both sides use this file: in the jail it stands alone, so it imports nothing of the package.
"""

import json
import os
import select
import struct
import time

import numpy as np

MAX_HEADER = 2**20  # bytes; a cell's text is capped well below
MAX_BLOBS = 2**25  # bytes of all blobs together: four arrays of a million float64
MAX_COUNT = 64  # of blobs
MAX_DIMENSIONS = 8
MAX_NAME = 100  # characters
TYPES = ("float64", "float32", "int64", "bool")


class Garbled(ValueError):
    """What came is no message, too large, or not an array."""


def pack(header, blobs=()):
    """The bytes of a message."""
    header = {**header, "blobs": [len(blob) for blob in blobs]}
    text = json.dumps(header, ensure_ascii=False).encode("utf-8", "replace")
    return b"".join([struct.pack(">Q", len(text)), text, *blobs])


def send(fd, message, deadline=None):
    """Writes it to a pipe; raises TimeoutError at the deadline (of `time.monotonic`), BrokenPipeError if nobody reads.

    With a deadline, the pipe must not block.
    """
    view = memoryview(message)
    while view:
        _wait(fd, select.POLLOUT, deadline)
        view = view[os.write(fd, view[:65536]) :]


def receive(fd, deadline=None):
    """(header, blobs) of the next message, or None at the end of the stream.

    Raises Garbled, and TimeoutError at the deadline, however slowly the bytes drip in.
    """
    start = _read(fd, 8, deadline)
    if not start:
        return None
    (length,) = struct.unpack(">Q", start.ljust(8, b"\0"))
    if len(start) < 8 or length > MAX_HEADER:
        raise Garbled("no message")
    text = _read(fd, length, deadline)
    try:
        header = json.loads(text)
        lengths = header.pop("blobs")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Garbled("no header") from None
    if not isinstance(lengths, list) or len(lengths) > MAX_COUNT or not all(_is_count(n) for n in lengths):
        raise Garbled("no lengths")
    if sum(lengths) > MAX_BLOBS:
        raise Garbled(f"{sum(lengths)} bytes at once")
    blobs = [_read(fd, n, deadline) for n in lengths]
    if [len(blob) for blob in blobs] != lengths:
        raise Garbled("cut off")
    return header, blobs


def _is_count(number):
    return type(number) is int and number >= 0


def _wait(fd, event, deadline):
    if deadline is None:
        return
    poll = select.poll()
    poll.register(fd, event)
    left = deadline - time.monotonic()
    if left <= 0 or not poll.poll(left * 1000):
        raise TimeoutError


def _read(fd, length, deadline):
    parts = []
    while length:
        _wait(fd, select.POLLIN, deadline)
        part = os.read(fd, min(length, 2**20))
        if not part:
            break
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def encode(values):
    """(list for the header, blobs) of named arrays and numbers."""
    entries, blobs = [], []
    for name, value in values.items():
        if isinstance(value, np.ndarray | np.generic):
            array = np.ascontiguousarray(value)
            if array.dtype.name not in TYPES:
                raise Garbled(f"{name} is an array of {array.dtype}")
            entries.append([name, array.dtype.name, list(np.shape(value))])
            blobs.append(array.tobytes())
        else:
            entries.append([name, value])
    return entries, blobs


def decode(entries, blobs):
    """The named arrays and numbers again; arrays are copies of one's own. Raises Garbled."""
    values, blobs = {}, iter(blobs)
    if not isinstance(entries, list) or len(entries) > MAX_COUNT:
        raise Garbled("no list of values")
    for entry in entries:
        if not isinstance(entry, list) or len(entry) not in (2, 3) or not isinstance(entry[0], str):
            raise Garbled("no value")
        if len(entry[0]) > MAX_NAME:
            raise Garbled("no name")
        if len(entry) == 2 and not isinstance(entry[1], bool | int | float | str | None):
            raise Garbled("no number")
        values[entry[0]] = entry[1] if len(entry) == 2 else _array(*entry[1:], next(blobs, b""))
    return values


def _array(dtype, shape, blob):
    if dtype not in TYPES or not isinstance(shape, list) or len(shape) > MAX_DIMENSIONS:
        raise Garbled("no array")
    if not all(_is_count(n) and n <= MAX_BLOBS for n in shape):
        raise Garbled("no shape")
    count = 1
    for n in shape:
        count *= n
    if count * np.dtype(dtype).itemsize != len(blob):
        raise Garbled("an array that is not as large as it says")
    if dtype == "bool" and blob.strip(b"\0\1"):
        raise Garbled("truth values that are neither")
    try:
        return np.frombuffer(bytearray(blob), dtype).reshape(shape)
    except ValueError as error:  # (0, 2**25, 2**25, 2**25): no entry, and yet too large
        raise Garbled(str(error)) from None

"""Whether a CDF-5 file holds the records that its header counts: the library reads others as 0."""

import math
import os
import struct
import time

_MAGIC = b"CDF\x05"
#: Bytes of the types of netCDF, by number.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 8, 7: 1, 8: 2, 9: 4, 10: 8, 11: 8}
#: Seconds until a second look: a running process may be about to write what it has counted.
_PATIENCE = 0.1


def check_records(path):
    """Check that a file is as long as its header says; one of another format passes.

    Parameters
    ----------
    path : str or path-like

    Raises
    ------
    OSError
        If it is missing or truncated.
    """
    for wait in (_PATIENCE, None):
        counted, present = _count(path)
        if present >= counted:
            return
        if wait is not None:
            time.sleep(wait)
    raise OSError(
        f"{os.fspath(path)} is truncated: {present} complete frames of {counted}; restore it from "
        "a copy, or begin anew in another file"
    )


def _count(path):
    """How many records the header counts, and how many are there."""
    with open(path, "rb") as file:
        if file.read(len(_MAGIC)) != _MAGIC:
            return 0, 0
        try:
            counted, variables = _Header(file).read()
            size = os.fstat(file.fileno()).st_size  # only now: data are written before the header
            length = sum(padded for _, _, padded in variables)
            if len(variables) == 1:  # the only one has no padding
                length = variables[0][1]
            present = [1 + (size - begin - used) // length for begin, used, _ in variables]
        except (struct.error, LookupError, ValueError, ArithmeticError, OSError):
            raise OSError(
                f"{os.fspath(path)} is truncated or damaged in its header; restore it from a copy, "
                "or begin anew in another file"
            ) from None
    return counted, max(0, min(present, default=counted))


class _Header:
    """The header of a CDF-5 file, after its magic number; read from front to end."""

    def __init__(self, file):
        self.file = file

    def read(self):
        """The number of records, and of each variable in them begin, bytes, bytes with padding."""
        n_records = self.int64()
        lengths = []
        for _ in self.items():
            self.name()
            lengths.append(self.int64())
        self.attributes()
        variables = []
        for _ in self.items():
            self.name()
            shape = [lengths[self.int64()] for _ in range(self.int64())]
            self.attributes()
            used = _SIZES[self.int32()] * math.prod(shape[1:])
            padded, begin = self.int64(), self.int64()
            if shape and shape[0] == 0:  # so the length of records is written
                variables.append((begin, used, padded))
        return n_records, variables

    def int32(self):
        return struct.unpack(">i", self.file.read(4))[0]

    def int64(self):
        return struct.unpack(">q", self.file.read(8))[0]

    def skip(self, n_bytes):
        self.file.seek(-(-n_bytes // 4) * 4, os.SEEK_CUR)

    def name(self):
        self.skip(self.int64())

    def items(self):
        """A range as long as the list that begins here."""
        self.int32()  # which list
        return range(self.int64())

    def attributes(self):
        for _ in self.items():
            self.name()
            size = _SIZES[self.int32()]
            self.skip(size * self.int64())

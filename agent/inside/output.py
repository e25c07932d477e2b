"""Standard streams that are real ones and also hand their lines to the metric parser."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from probes.tap.printed import MAX_LINE, Parser


class MetricStream(io.TextIOWrapper):
    """A text stream over a file descriptor; complete lines written to it are read for metrics.

    Lines may end with a line feed or, as progress bars write them, a carriage return.

    Args:
        descriptor: The file descriptor; stays open when the stream is closed.
        read: Takes each complete line.
    """

    def __init__(self, descriptor: int, read: Callable[[str], None]) -> None:
        super().__init__(
            io.BufferedWriter(io.FileIO(descriptor, "w", closefd=False)),
            encoding="utf-8",
            errors="backslashreplace",
            line_buffering=True,
        )
        self.mode = "w"  # type: ignore[misc]
        self._read = read
        self._rest = ""
        self._process = os.getpid()

    @property
    def name(self) -> str:
        """As the interpreter names its streams."""
        return {1: "<stdout>", 2: "<stderr>"}[self.fileno()]

    def write(self, text: str, /) -> int:
        """Write the text and read the lines that it completes."""
        written = super().write(text)
        if self._process == os.getpid():  # Loader workers print, too, but report nothing.
            self._feed(text)
        return written

    def finish(self) -> None:
        """Read the last line, which may lack its end."""
        rest, self._rest = self._rest, ""
        if rest:
            self._read(rest)
        if not self.closed:
            self.flush()

    def _feed(self, text: str) -> None:
        if "\n" not in text and "\r" not in text:
            self._rest = (self._rest + text)[-MAX_LINE:]
            return
        *lines, rest = (self._rest + text).replace("\r", "\n").split("\n")
        self._rest = rest[-MAX_LINE:]
        for line in lines:
            if line:
                self._read(line)


class Output:
    """Replaces the standard streams of this process.

    Args:
        report: Takes name, value and source of every number that is found.
    """

    def __init__(self, report: Callable[[str, float, str], None]) -> None:
        self._report = report
        self._streams: list[MetricStream] = []

    def install(self) -> None:
        """Replace ``sys.stdout`` and ``sys.stderr``; file descriptors 1 and 2 stay as they are."""
        # Each stream has a parser of its own: a table on one is not broken by lines on the other.
        self._streams = [MetricStream(number, self._reader()) for number in (1, 2)]
        sys.stdout, sys.stderr = self._streams
        sys.__stdout__, sys.__stderr__ = self._streams  # type: ignore[misc]

    def finish(self) -> None:
        """Read what is still held back."""
        for stream in self._streams:
            stream.finish()

    def _reader(self) -> Callable[[str], None]:
        parser = Parser()

        def read(line: str) -> None:
            for name, value in parser.feed(line):
                self._report(name, value, "printed")

        return read

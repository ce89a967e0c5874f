#!/usr/bin/env python3
"""The guide shows real code and real output: check_docs.py SOURCE_DIR PROGRAMS_DIR.

In README.md and docs/*.md, a fenced block below `<!-- from FILE -->` has lines of that file, in its order; one below
`<!-- output of PROGRAM -->` has lines that the program prints, in one piece. In both, a line `...` stands for any lines.
A test that a page names, `Suite.Name`, stands in test/."""
import re
import subprocess
import sys
from pathlib import Path

NAMED_TEST = re.compile(r"`([A-Z][A-Za-z0-9]+\.[A-Z][A-Za-z0-9]+)`")
TEST = re.compile(r"^TEST(?:_[FP])?\((\w+), (\w+)\)", re.M)
BLOCK = re.compile(r"<!-- (from|output of) (\S+) -->\n```\w*\n(.*?)\n```", re.S)


def lines_of(text):
    return [line.strip() for line in text.split("\n") if line.strip()]


def pieces_of(lines):
    """The runs of lines between `...`."""
    pieces = [[]]
    for line in lines:
        if line == "...":
            pieces.append([])
        else:
            pieces[-1].append(line)
    return [piece for piece in pieces if piece]


def first_missing(wanted, having, contiguous):
    """The first line of `wanted` that `having` lacks at its place, or None. Contiguous: each piece in one run."""
    at = 0
    for piece in pieces_of(wanted):
        if contiguous:
            starts = [i for i in range(at, len(having) - len(piece) + 1) if having[i:i + len(piece)] == piece]
            if not starts:
                return next((line for line in piece if line not in having), piece[0])
            at = starts[0] + len(piece)
            continue
        for line in piece:
            if line not in having[at:]:
                return line
            at = having.index(line, at) + 1
    return None


def main():
    root, programs = Path(sys.argv[1]), Path(sys.argv[2])
    texts, failed, blocks = {}, False, 0
    tests = {".".join(found) for source in (root / "test").rglob("*.cpp") for found in TEST.findall(source.read_text(encoding="utf-8"))}
    for page in [root / "README.md", *sorted((root / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        for name in NAMED_TEST.findall(text):
            if name not in tests:
                failed = True
                print(f"{page.relative_to(root)}: there is no test {name}")
        for kind, name, block in BLOCK.findall(text):
            blocks += 1
            if (kind, name) not in texts:
                if kind == "from":
                    texts[kind, name] = (root / name).read_text(encoding="utf-8")
                else:
                    texts[kind, name] = subprocess.run([programs / name], check=True, capture_output=True, text=True).stdout
            missing = first_missing(lines_of(block), lines_of(texts[kind, name]), kind != "from")
            if missing is not None:
                failed = True
                print(f"{page.relative_to(root)}: block {kind} {name}: this line is not there, or not in this place: {missing}")
    print(f"{blocks} blocks compared")
    return 1 if failed or blocks == 0 else 0


if __name__ == "__main__":
    sys.exit(main())

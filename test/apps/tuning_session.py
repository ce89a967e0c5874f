#!/usr/bin/env python3
"""The recorded terminal session of a page is what the programs print: tuning_session.py TESSERA_TUNE GENERATOR PAGE [--update].

Below `<!-- session -->` a fenced block has commands, `$ words`, each with what it printed. They run again in an empty folder. Words must
be the same; numbers, hashes and units of time may differ, as may which candidate won, and how often a line told of progress.
--update writes what they print into the page."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BLOCK = re.compile(r"(<!-- session -->\n```\w*\n)(.*?)(\n```)", re.S)
PROGRESS = re.compile(r"\[ *\d+/\d+\] .*")
# What a machine decides: who won, and its own name.
DECIDED = [(re.compile(r"(trials were made); .*"), r"\1; DECISION"), (re.compile(r"(thread), [^:]+: "), r"\1, MACHINE: ")]
HASH, NUMBER = re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{8,64}\b"), re.compile(r"(?<![\w.])\d+(\.\d+)?(e[-+]?\d+)?( (ns|us|ms|s)\b|x\b)?")


def masked(output):
    lines = []
    for line in output.split("\n"):
        line = "PROGRESS" if PROGRESS.fullmatch(line.strip()) else line.strip()
        for pattern, word in DECIDED:
            line = pattern.sub(word, line)
        line = re.sub(r" +", " ", NUMBER.sub("NUMBER", HASH.sub("HASH", line)))
        if line and not (line == "PROGRESS" and lines and lines[-1] == line):
            lines.append(line)
    return lines


def recorded(block):
    """The commands of a session, each with its output."""
    steps = []
    for line in block.split("\n"):
        if line.startswith("$ "):
            steps.append([line[2:], []])
        elif steps:
            steps[-1][1].append(line)
    return [(command, "\n".join(output)) for command, output in steps]


def run(command, folder):
    result = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, text=True, timeout=300)
    if result.returncode != 0:
        sys.exit(f"{command}\nended with status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout.rstrip("\n")


def main():
    tune, generator, page = (Path(word).resolve() for word in sys.argv[1:4])
    update = "--update" in sys.argv[4:]
    text = page.read_text(encoding="utf-8")
    found = BLOCK.search(text)
    steps = recorded(found.group(2)) if found else []
    if not steps:
        sys.exit(f"{page} has no recorded session")
    printed = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "tessera-tune").symlink_to(tune)
        (folder / generator.name).symlink_to(generator)
        for command, _ in steps:
            printed.append(run(f"PATH=$PWD:$PATH; {command}", folder))
    if update:
        block = "\n".join(f"$ {command}" + (f"\n{output}" if output else "") for (command, _), output in zip(steps, printed))
        page.write_text(text[: found.start(2)] + block + text[found.end(2) :], encoding="utf-8")
        return
    stale = [(command, masked(old), masked(output)) for (command, old), output in zip(steps, printed) if masked(old) != masked(output)]
    for command, old, output in stale:
        print(f"$ {command}\nthe page has\n  " + "\n  ".join(old) + "\nit prints\n  " + "\n  ".join(output))
    if stale:
        sys.exit("tuning_session.py --update writes the page again")
    print(f"{len(steps)} commands print what the page shows")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""The fail-points that docs/testing.md and base/failpoint/points.h list are those of the sources, no more and no fewer."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
HIT = re.compile(r'(?:failpoint::Hit|failpoint::Call|HitFailpoint)\(\s*"([^"]+)"')
# worker/trainer/file: the point is named after the verb.
PATIENT = re.compile(r'\bPatiently\(\s*"([^"]+)"')
NAME = re.compile(r"`([a-z]+\.[a-z_ ]+)`")


def documented():
    """Names of the points, from the first column of the table in docs/testing.md."""
    text = (ROOT / "docs" / "testing.md").read_text().split("## Fail-points", 1)[1]
    cells = (line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    return {name for cell in cells for name in NAME.findall(cell)}


def listed():
    """Names of the points that a program accepts."""
    return set(re.findall(r'"([^"]+)",', (ROOT / "base" / "failpoint" / "points.h").read_text()))


def in_sources():
    files = subprocess.run(["git", "ls-files", "base", "coordinator", "worker", "services"], cwd=ROOT, check=True,
                            capture_output=True, text=True).stdout
    names = set()
    for path in (ROOT / name for name in files.splitlines() if name.endswith((".cc", ".h"))):
        text = path.read_text()
        names.update(HIT.findall(text))
        names.update(f"file.{verb}" for verb in PATIENT.findall(text))
    return names


def main():
    problems = []
    for where, names in (("docs/testing.md", documented()), ("base/failpoint/points.h", listed())):
        problems += [f"{where} does not list the fail-point {name}" for name in sorted(in_sources() - names)]
        problems += [f"{where} lists {name}, which is no fail-point" for name in sorted(names - in_sources())]
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(documented())} fail-points are listed as they are")


if __name__ == "__main__":
    main()

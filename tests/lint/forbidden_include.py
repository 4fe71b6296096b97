#!/usr/bin/env python3
"""Shows that the dependency rule is enforced by the build: a file of one folder that includes a header of a folder it may
not see does not compile, and the same file without that include does."""
import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

FORBIDDEN = [  # (a file of the including folder, a header that it must not see)
    ("coordinator/schedule/", "worker/shards/dataset.h"),
    ("coordinator/sweep/", "coordinator/store/store.h"),
    ("worker/session/", "coordinator/state/state.h"),
    ("worker/shards/", "services/rpc/client.h"),
    ("base/text/", "coordinator/state/state.h"),
]


def compiles(entry, text):
    with tempfile.NamedTemporaryFile("w", suffix=".cc") as source:
        source.write(text)
        source.flush()
        words = shlex.split(entry["command"])
        words[words.index("-c") + 1] = source.name
        words[words.index("-o") + 1] = "/dev/null"
        return subprocess.run(words, cwd=entry["directory"], capture_output=True, text=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    commands = json.loads((pathlib.Path(args.build) / "compile_commands.json").read_text())
    for folder, header in FORBIDDEN:
        if not (root / header).exists():
            sys.exit(f"{header} is gone: name another header in {__file__}")
        entry = next(e for e in commands if str(pathlib.Path(e["file"]).relative_to(root)).startswith(folder))
        harmless = compiles(entry, "int x;\n")
        if harmless.returncode != 0:
            sys.exit(f"a harmless file of {folder} does not compile:\n{harmless.stderr}")
        forbidden = compiles(entry, f'#include "{header}"\nint x;\n')
        if forbidden.returncode == 0 or "No such file" not in forbidden.stderr:
            sys.exit(f"{folder} can include {header}, which the dependency rule forbids:\n{forbidden.stderr}")
    print(f"{len(FORBIDDEN)} forbidden includes do not compile")


main()

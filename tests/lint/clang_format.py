#!/usr/bin/env python3
"""Fails when a C++ file is not formatted as .clang-format says; names the files and the command that mends them."""
import subprocess
import sys

files = subprocess.run(["git", "ls-files", "*.cc", "*.h", "*.cu", "*.cuh"], check=True, capture_output=True, text=True).stdout.split()
result = subprocess.run(["clang-format", "--dry-run", "-Werror", *files], capture_output=True, text=True)
if result.returncode == 0:
    print(f"{len(files)} files are formatted")
else:
    wrong = sorted({line.split(":")[0] for line in result.stderr.splitlines() if "error:" in line})
    sys.exit("not formatted; run\n  clang-format -i " + " ".join(wrong))

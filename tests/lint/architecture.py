#!/usr/bin/env python3
"""Checks of docs/architecture.md §4 that neither the compiler nor CMake can make.

- No include climbs out of its folder ("../"), which would get around the dependency rule.
- A pure folder (declared PURE in CMake) reads no clock, starts no thread, does no I/O and draws no random numbers.
- The trainer includes neither protobuf nor gRPC; the control plane includes no LibTorch.
- No tracked file names a path of one machine.
"""
import pathlib
import re
import subprocess
import sys

PURE_FORBIDDEN = re.compile(
    r"#include <(thread|mutex|condition_variable|future|fstream|iostream|filesystem|random|unistd\.h|fcntl\.h|sys/\w+\.h|time\.h|ctime)>"
    r"|system_clock|steady_clock|clock_gettime|std::rand\b|getenv\("
)
FORBIDDEN_IN = {
    "worker/trainer": re.compile(r'#include [<"](google/protobuf|grpc|mixln/v1)'),
    "services/trainer": re.compile(r'#include [<"](google/protobuf|grpc|mixln/v1)'),
    "coordinator": re.compile(r'#include [<"](torch|ATen|c10|grpc)'),
    "worker/session": re.compile(r'#include [<"](torch|ATen|c10|grpc)'),
    "worker/agent": re.compile(r'#include [<"](torch|ATen|c10|grpc)'),
}
MACHINE_PATH = re.compile(r"(^|[^A-Za-z0-9_.])/(work|root|home/\w+)/")


def tracked(*patterns):
    out = subprocess.run(["git", "ls-files", *patterns], check=True, capture_output=True, text=True).stdout
    return [p for p in out.splitlines() if pathlib.Path(p).is_file()]


def pure_folders():
    for cmake in tracked("*CMakeLists.txt"):
        for call in re.finditer(r"mixln_library\(\s*(\S+)\s+PURE\b", pathlib.Path(cmake).read_text()):
            yield call.group(1)


def main():
    problems = []
    pure = list(pure_folders())
    if not pure:
        problems.append("no folder is declared PURE: this check has lost its subject")
    for path in tracked("*.cc", "*.h"):
        text = pathlib.Path(path).read_text()
        folder = str(pathlib.Path(path).parent)
        for number, line in enumerate(text.splitlines(), 1):
            where = f"{path}:{number}"
            if '#include "../' in line:
                problems.append(f"{where}: include by full path from the root, not '../'")
            if folder in pure and PURE_FORBIDDEN.search(line.split("//")[0]):
                problems.append(f"{where}: {folder} is pure: pass time, randomness and I/O in as arguments")
            for prefix, forbidden in FORBIDDEN_IN.items():
                if folder == prefix or folder.startswith(prefix + "/"):
                    if forbidden.search(line):
                        problems.append(f"{where}: {prefix} may not include this (docs/architecture.md §3)")
    for path in tracked():
        try:
            text = pathlib.Path(path).read_text()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if MACHINE_PATH.search(line) and path != "tests/lint/architecture.py":
                problems.append(f"{path}:{number}: names a path of one machine")
    if problems:
        sys.exit("\n".join(problems))
    print(f"{len(pure)} pure folders and the include rules hold")


main()

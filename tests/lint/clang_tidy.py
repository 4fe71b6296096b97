#!/usr/bin/env python3
"""Runs clang-tidy over the files of a build's compile_commands.json.

A file whose preprocessed text and configuration were found clean before is not checked again: what is known clean is
kept, as hashes, in ~/.cache/mixln/tidy.

usage: clang_tidy.py --build DIR [--quick] [--recent COMMITS] [--exclude trainer] [FILE...]

--quick is what the tests run: the program's own sources, and the checks that are cheap, since every check walks gRPC's headers too
(the full set takes 40 s a file). --recent leaves out what the last so many commits and the working tree did not touch: the rest was
checked when it was written. scripts/lint runs the full set over everything.
"""
import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shlex
import subprocess
import sys

QUICK = ("-*,performance-*,-performance-enum-size,-performance-no-int-to-ptr,bugprone-use-after-move,bugprone-dangling-handle,"
         "bugprone-infinite-loop,bugprone-unused-raii,bugprone-sizeof-expression,bugprone-string-constructor,"
         "bugprone-suspicious-semicolon,bugprone-branch-clone,modernize-use-override")
TRAINER = ("worker/trainer/", "services/trainer/", "tests/unit/worker/trainer/", "tests/parity/", "tests/bench/")


def arguments_for_clang(command):
    """The compiler's arguments without what only GCC knows, precompiled headers and outputs."""
    words = shlex.split(command)
    while words and not os.path.basename(words[0]).startswith(("c++", "g++")):
        words.pop(0)  # the ccache launcher
    kept, skip = [], 0
    for word in words[1:]:
        if skip:
            skip -= 1
        elif word in ("-o", "-c", "-include", "-MF", "-MT"):
            skip = 1
        elif word in ("-fpch-preprocess", "-Winvalid-pch", "-MD", "-Werror"):
            pass
        else:
            kept.append(word)
    return kept


def check(entry, root, cache, config_hash, checks):
    """Returns what clang-tidy said, or an empty string."""
    path = entry["file"]
    arguments = arguments_for_clang(entry["command"])
    preprocessed = subprocess.run(["g++", "-E", "-P", *arguments, path], cwd=entry["directory"], capture_output=True)
    key = hashlib.sha256(config_hash + preprocessed.stdout + pathlib.Path(path).read_bytes()).hexdigest()
    if preprocessed.returncode == 0 and (cache / key).exists():
        return ""
    result = subprocess.run(["clang-tidy", "--quiet", f"--config-file={root}/.clang-tidy", *checks, path, "--", *arguments],
                            cwd=entry["directory"], capture_output=True, text=True)
    if result.returncode == 0:
        (cache / key).touch()
        return ""
    return result.stdout + ("" if result.stdout else result.stderr)


def touched_lately(root, commits):
    """Paths without their endings, so that a header stands for its source; None where git does not know."""
    def lines(*words):
        result = subprocess.run(["git", "-C", root, *words], capture_output=True, text=True)
        return result.stdout.split("\n") if result.returncode == 0 else None
    history = lines("log", f"-{commits}", "--no-merges", "--name-only", "--format=")
    tree = lines("status", "--porcelain", "--no-renames")
    if history is None or tree is None:
        return None
    return {path.rsplit(".", 1)[0] for path in history + [line[3:] for line in tree] if path}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--recent", type=int, metavar="COMMITS")
    parser.add_argument("--exclude", choices=["trainer"])
    parser.add_argument("files", nargs="*")
    args = parser.parse_args()
    root = pathlib.Path(__file__).resolve().parents[2]
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "mixln" / "tidy"
    cache.mkdir(parents=True, exist_ok=True)
    checks = [f"--checks={QUICK}"] if args.quick else []
    config_hash = hashlib.sha256((root / ".clang-tidy").read_bytes() + repr(checks).encode()).digest()

    lately = touched_lately(root, args.recent) if args.recent else None
    entries = []
    for entry in json.loads((pathlib.Path(args.build) / "compile_commands.json").read_text()):
        path = os.path.relpath(entry["file"], root)
        if path.startswith(("build/", "..")):
            continue  # generated code
        skipped = (args.exclude and path.startswith(TRAINER)) or (args.quick and path.startswith("tests/"))
        old = lately is not None and path.rsplit(".", 1)[0] not in lately
        if skipped or old or (args.files and path not in args.files):
            continue
        entries.append(entry)
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for entry, said in zip(entries, pool.map(lambda e: check(e, root, cache, config_hash, checks), entries)):
            if said:
                bad += 1
                print(said, flush=True)
    if bad:
        sys.exit(f"clang-tidy complains about {bad} of {len(entries)} files")
    print(f"clang-tidy finds {len(entries)} files clean")


main()

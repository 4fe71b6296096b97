#!/usr/bin/env python3
"""docs/promises.md says what is so: it has every promise of docs/architecture.md in its words and at least one test of each, every
test that it names is in the source and is registered with ctest, and every test that is named after a promise is in its list."""
import pathlib
import re
import sys

PYTHON_TEST = re.compile(r"(?m)^    def (test_promises?_((?:\d+_)(?:(?:and_)?\d+_)*)\w+)\(")
CPP_TEST = re.compile(r"TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\)")
ROW = re.compile(r"(?m)^\| `([^`]+)`(?: `([^`]+)`)? \| (.+) \|$")


def promises():
    section = pathlib.Path("docs/architecture.md").read_text().split("## 11. Promises")[1].split("\n## ")[0]
    return dict(re.findall(r"(?m)^(\d+)\. (.+)$", section))


def unit_tests(folder):
    """Names of a folder's unit tests, Suite.Name."""
    files = pathlib.Path("tests/unit", folder).glob("*_test.cc")
    return {f"{suite}.{name}" for file in files for suite, name in CPP_TEST.findall(file.read_text())}


def is_registered(kind, name):
    cmake = pathlib.Path("tests", kind, "CMakeLists.txt").read_text()
    return bool(re.search(rf"\w+_test\((?:{kind} )?{name}\b|NAME {kind}\.{name}\b", cmake))


def problem_with(test, function):
    """Why the named test is none; empty: it is one."""
    if test.startswith("unit/"):
        folder, suite, name = test.removeprefix("unit/").split(".")
        return "" if f"{suite}.{name}" in unit_tests(folder) else "there is no such unit test"
    kind, name = test.split(".")
    if not pathlib.Path("tests", kind, "CMakeLists.txt").exists() or not is_registered(kind, name):
        return "ctest has no such test"
    file = pathlib.Path("tests", kind, f"{name}_test.py")
    if function and (not file.exists() or f"def {function}(" not in file.read_text()):
        return f"{file} has no {function}"
    return ""


def named_after_promises():
    """(promise, test) of every test whose name has a promise's number."""
    for file in pathlib.Path("tests").rglob("*_test.py"):
        for function, numbers in PYTHON_TEST.findall(file.read_text()):
            for number in re.findall(r"\d+", numbers):
                yield number, function
    for file in pathlib.Path("tests/unit").rglob("*_test.cc"):
        for suite, name in CPP_TEST.findall(file.read_text()):
            if number := re.match(r"Promise(\d+)", name):
                yield number[1], f"unit/{file.parent.relative_to('tests/unit')}.{suite}.{name}"


def main():
    problems = []
    sections = dict(re.findall(r"(?ms)^## Promise (\d+)\n(.*?)(?=^## |\Z)", pathlib.Path("docs/promises.md").read_text()))
    listed = {}
    for number, text in promises().items():
        section = sections.get(number, "")
        if text not in section:
            problems.append(f"promise {number} is not there in the words of docs/architecture.md: {text}")
        rows = ROW.findall(section)
        if not rows:
            problems.append(f"promise {number} has no test")
        listed[number] = {function or test for test, function, _ in rows}
        problems += [f"promise {number}: {test} {function}: {why}" for test, function, _ in rows if (why := problem_with(test, function))]
    for number, test in named_after_promises():
        if test not in listed.get(number, ()):
            problems.append(f"promise {number} does not list {test}")
    for problem in problems:
        print(f"docs/promises.md: {problem}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

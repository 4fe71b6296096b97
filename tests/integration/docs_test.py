"""The pages say what is so: the references are what docs/generate.py makes of the code, links lead somewhere, and every command line that a page
shows has commands and flags that the programs know.
"""
import pathlib
import re
import subprocess
import sys
import unittest

import cluster

DOCS = cluster.ROOT / "docs"
PAGES = [cluster.ROOT / "README.md", *sorted(DOCS.glob("*.md"))]
COMMAND = re.compile(r"\b(mixlnctl|mixln-coordinator|mixln-worker)((?: +[^\s`|#&;<>()]+)*)")


def help_of(*words):
    return subprocess.run([cluster.BIN / words[0], *words[1:], "--help"], capture_output=True, text=True, check=True).stdout


def subcommands(text):
    return set(re.findall(r"(?m)^  ([a-z]+)(?:, [a-z]+)*  ", text))


class Docs(unittest.TestCase):
    def test_the_references_are_made_of_the_code(self):
        done = subprocess.run([sys.executable, DOCS / "generate.py", "--check", cluster.BIN], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_links_lead_somewhere(self):
        for page in PAGES:
            for target in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text()):
                self.assertTrue((page.parent / target).exists(), f"{page.name}: {target}")

    def test_the_readme_leads_to_every_page(self):
        linked = set(re.findall(r"\(docs/([\w-]+\.md)\)", PAGES[0].read_text()))
        self.assertEqual(linked, {page.name for page in PAGES[1:]})

    def test_every_command_is_explained(self):
        explained = set(re.findall(r"`([a-z]+)(?: [^`]*)?`", (DOCS / "mixlnctl.md").read_text().split("## ")[0]))
        self.assertLessEqual(subcommands(help_of("mixlnctl")), explained)

    def test_command_lines_are_ones_that_the_programs_know(self):
        known = {}
        for page in PAGES:
            if page.name == "cli.md":
                continue
            for program, rest in COMMAND.findall(page.read_text()):
                words = rest.split()
                path = [program]
                if program not in known:
                    known[program] = help_of(program)
                while words and words[0] in subcommands(known[" ".join(path)]):
                    path.append(words.pop(0))
                    known.setdefault(" ".join(path), None)
                    known[" ".join(path)] = known[" ".join(path)] or help_of(*path)
                # A program's own flags may stand behind its commands, too.
                flags = re.findall(r"--[a-z-]+", known[program] + known[" ".join(path)])
                with self.subTest(page=page.name, command=f"{program}{rest}"):
                    for flag in (word.split("=")[0] for word in words if word.startswith("--")):
                        self.assertIn(flag, flags)


if __name__ == "__main__":
    unittest.main()

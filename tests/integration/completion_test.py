"""The completion scripts, in the shells that they are for: what the Tab key makes of a line."""
import os
import pathlib
import pty
import shlex
import subprocess
import tempfile
import threading
import unittest

MIXLNCTL = pathlib.Path(os.environ["MIXLN_BIN"]) / "mixlnctl"


class Completion(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.environment = {"HOME": str(self.folder), "PATH": f"{self.folder}:/usr/bin:/bin", "TERM": "dumb", "LC_ALL": "C.UTF-8"}
        # Stands for a coordinator that has a sweep of two trials.
        program = self.folder / "mixlnctl"
        program.write_text('#!/bin/sh\ncase "$*" in\n"get sweeps -o name") echo alpha-sweep;;\n'
                           '"get trials -o name") echo alpha-sweep-0; echo alpha-sweep-1;;\n'
                           '"nodes -o name") echo c0700f7e8b08;;\nesac\n')
        program.chmod(0o755)
        (self.folder / "file.yaml").touch()

    def script(self, shell):
        path = self.folder / f"completion.{shell}"
        path.write_bytes(subprocess.run([MIXLNCTL, "completion", shell], check=True, capture_output=True).stdout)
        return path

    def run_shell(self, *command):
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=self.folder, env=self.environment)
        return done.stdout.splitlines()

    def bash(self, line):
        words = line.split(" ")
        return self.run_shell("bash", "--norc", "-c", f"source {self.script('bash')}; COMP_WORDS=({shlex.join(words)}); "
                              f"COMP_CWORD={len(words) - 1}; _mixlnctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")

    def fish(self, line):
        said = self.run_shell("fish", "--no-config", "-c", f"source {self.script('fish')}; complete --do-complete '{line}'")
        return [offer.split("\t")[0] for offer in said]

    def zsh(self, line):
        """The last word after Tab: zsh completes only at a terminal. Ctrl-X hands out the line as it then stands."""
        answer = self.folder / "line"
        answer.unlink(missing_ok=True)
        os.mkfifo(answer)
        setup = self.folder / ".zshrc"
        setup.write_text(f"autoload -U compinit; compinit -u -D\nsource {self.script('zsh')}\n"
                         f"answer() {{ print -r -- $BUFFER > {answer}; exit }}\nzle -N answer; bindkey '^X' answer\n")
        terminal, theirs = pty.openpty()
        shell = subprocess.Popen(["zsh", "--no-globalrcs", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=self.folder,
                                 env=self.environment, start_new_session=True)
        os.close(theirs)
        drain = threading.Thread(target=self.read_to_the_end, args=(terminal,))
        drain.start()
        os.write(terminal, f"{line}\t\x18".encode())
        completed = answer.read_text()
        shell.terminate()
        shell.wait()
        drain.join()
        os.close(terminal)
        return [completed.split()[-1]]

    @staticmethod
    def read_to_the_end(terminal):
        try:
            while os.read(terminal, 4096):
                pass
        except OSError:  # the end of a terminal whose other side is closed
            pass

    def test_every_shell_completes_commands_flags_values_names_and_files(self):
        for complete in (self.bash, self.zsh, self.fish):
            for line, word in (("mixlnctl subm", "submit"), ("mixlnctl get sw", "sweeps"), ("mixlnctl submit --dry", "--dry-run"),
                               ("mixlnctl nodes -o js", "json"), ("mixlnctl completion fi", "fish"),
                               ("mixlnctl results al", "alpha-sweep"), ("mixlnctl logs alpha-sweep-1", "alpha-sweep-1"),
                               ("mixlnctl submit fi", "file.yaml"),
                               ("mixlnctl drain c07", "c0700f7e8b08"), ("mixlnctl retry --fa", "--failed"),
                               ("mixlnctl pause alpha-sweep-1", "alpha-sweep-1")):
                with self.subTest(shell=complete.__name__, line=line):
                    self.assertEqual(complete(line), [word])

    def test_every_shell_offers_all_trials(self):
        for complete in (self.bash, self.fish):
            self.assertEqual(sorted(complete("mixlnctl logs alpha-sweep-")), ["alpha-sweep-0", "alpha-sweep-1"])
        self.assertEqual(self.zsh("mixlnctl logs alpha-sw"), ["alpha-sweep-"])


if __name__ == "__main__":
    unittest.main()

"""Asks real interactive shells what they offer when Tab is pressed: each runs in a pseudo terminal,
gets the line as if it were typed, and writes the matches into a file."""

import os
import pathlib
import pty
import select
import shlex
import subprocess
import time

COMPLETION = pathlib.Path(__file__).resolve().parents[2] / "docs" / "completion"
PATIENCE = 60  # seconds; a shell takes a fraction of one on an idle machine

ZSHRC = r"""
PROMPT='READY> ' PS2=
fpath=(@DIRECTORY@ $fpath)
autoload -Uz compinit && compinit -D -u
setopt no_beep
bindkey '^I' complete-word
zstyle ':completion:*' insert-tab false
ended() { print END >>@MATCHES@; comppostfuncs=(ended) }
comppostfuncs=(ended)
compadd() {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then  # a question, not an offer
        builtin compadd "$@"
        return
    fi
    typeset -a hits
    builtin compadd -A hits "$@"
    (( $#hits )) && print -rl -- '='${^hits} >>@MATCHES@
    builtin compadd "$@"
}
"""

BASHRC = r"""
PS1='READY> '
source @DIRECTORY@/harbor-pilot.bash
wrapped() {
    _harbor_pilot "$@"
    ((${#COMPREPLY[@]})) && printf '=%s\n' "${COMPREPLY[@]}" >>@MATCHES@
    echo END >>@MATCHES@
}
complete -F wrapped harbor-pilot
bind 'set bell-style none'
"""


class Shell:
    """An interactive shell, "bash" or "zsh", with `directory` as working directory; `scratch` takes
    its own files."""

    def __init__(self, name, directory, scratch):
        scratch = pathlib.Path(scratch)
        self.matches = scratch / "matches"
        self.matches.touch()
        setup = (ZSHRC if name == "zsh" else BASHRC).replace(
            "@DIRECTORY@", shlex.quote(str(COMPLETION))
        )
        rc = scratch / (".zshrc" if name == "zsh" else "bashrc")
        rc.write_text(setup.replace("@MATCHES@", shlex.quote(str(self.matches))))
        command = (
            ["zsh", "-d", "-i"]
            if name == "zsh"
            else ["bash", "--noprofile", "--rcfile", str(rc), "-i"]
        )
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(scratch),
            "ZDOTDIR": str(scratch),
            "TERM": "vt100",
            "LC_ALL": "C.UTF-8",
            "COLUMNS": "200",
            "LINES": "50",
        }
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=directory,
            env=environment,
            start_new_session=True,
        )
        os.close(theirs)
        self.seen = b""
        self._await(lambda: b"READY> " in self.seen, "a prompt")

    def _await(self, condition, what):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"the shell does not get so far: {what}; it says {self.seen[-2000:]!r}"
                )
            if select.select([self.terminal], [], [], 0.01)[0]:
                try:
                    self.seen += os.read(self.terminal, 65536)
                except OSError as error:
                    raise AssertionError(f"the shell ended: {self.seen[-2000:]!r}") from error

    def offers(self, line):
        """What it offers for the line, as a list."""
        self.matches.write_text("")
        os.write(self.terminal, b"\x15" + line.encode() + b"\t")  # Ctrl-U empties the line
        self._await(
            lambda: "END\n" in self.matches.read_text(), f"the end of the completion of {line!r}"
        )
        found = [
            match[1:] for match in self.matches.read_text().splitlines() if match.startswith("=")
        ]
        return list(dict.fromkeys(match.rstrip("=") for match in found))

    def end(self):
        self.process.kill()
        self.process.wait()
        os.close(self.terminal)

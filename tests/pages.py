"""Pages of documentation whose code the tests run: README.md and those of docs/."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parent.parent


class Page:
    """A Markdown file of this checkout, by its path in it."""

    def __init__(self, path: str):
        self.file = ROOT / path
        self.text = self.file.read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        return re.findall(rf"```{language}\n(.*?)```", self.text, re.DOTALL)

    def block(self, word: str, language: str = "python") -> str:
        """The one block that has ``word`` in it."""
        (found,) = [text for text in self.blocks(language) if word in text]
        return found

    def commands(self, program: str) -> list[list[str]]:
        """The arguments of each line of the console blocks that starts with ``program``."""
        lines = "".join(self.blocks("console")).splitlines()
        return [
            shlex.split(line.removeprefix(program), comments=True)
            for line in lines
            if line.startswith(f"{program} ")
        ]

    def links(self) -> list[Path]:
        """The files that the page links to."""
        targets = re.findall(r"\]\(([^)#:]+)\)", self.text)
        return [self.file.parent / target for target in targets]

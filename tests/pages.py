"""Pages of documentation whose code the tests run: README.md and those of docs/."""

import re
import shlex
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


class Page:
    """A Markdown file of this checkout, by its path in it."""

    def __init__(self, path: str | Path):
        self.file = ROOT / path
        self.text = self.file.read_text(encoding="utf-8")

    def blocks(self, language: str) -> list[str]:
        return re.findall(rf"^```{language}\n(.*?)^```", self.text, re.DOTALL | re.MULTILINE)

    def block(self, word: str, language: str = "python") -> str:
        """The one block that has ``word`` in it."""
        (found,) = [text for text in self.blocks(language) if word in text]
        return found

    def run(self) -> dict[str, Any]:
        """The names that the page's programs define, run one after the other."""
        names: dict[str, Any] = {}
        for number, text in enumerate(self.blocks("python"), 1):
            exec(compile(text, f"{self.file.name}, block {number}", "exec"), names)
        return names

    def commands(self, program: str) -> list[list[str]]:
        """The arguments of each line of the console blocks that starts with ``program``."""
        lines = "".join(self.blocks("console")).splitlines()
        return [
            shlex.split(line.removeprefix(program), comments=True)
            for line in lines
            if line.startswith(f"{program} ")
        ]

    def links(self) -> list[tuple[Path, str]]:
        """The files that the page links to, each with the heading in it, or ""."""
        text = re.sub(r"^```\w.*?^```", "", self.text, flags=re.DOTALL | re.MULTILINE)
        targets = re.findall(r"\]\(([^):\s]+)\)", text)
        parts = [target.partition("#") for target in targets]
        return [
            (self.file.parent / path if path else self.file, heading) for path, _, heading in parts
        ]

    def headings(self) -> set[str]:
        """The headings, as links name them."""
        titles = re.findall(r"^#+ (.*)$", self.text, re.MULTILINE)
        return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}

    def included(self) -> list[Path]:
        """The files that the page includes."""
        names = re.findall(r"^```\{(?:include|image)\} (\S+)$", self.text, re.MULTILINE)
        return [self.file.parent / name for name in names]


def pages(folder: str) -> list[Page]:
    """All pages below ``folder``, except for those that a build leaves there."""
    files = sorted((ROOT / folder).rglob("*.md"))
    return [Page(file) for file in files if "_build" not in file.relative_to(ROOT).parts]

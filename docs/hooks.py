"""Adds the README, CONTRIBUTING, CHANGELOG and the benchmark reports to the site built by MkDocs.

These files are outside docs/. Links that work on GitHub are rewritten to their places in the site.
"""

from __future__ import annotations

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the files outside docs/."""
    for name, target in PAGES.items():
        text = (ROOT / name).read_text(encoding="utf-8").replace("](docs/", "](")
        files.append(File.generated(config, target, content=linked(text, "")))
    for path in sorted((ROOT / "benchmarks").glob("*")):
        if path.suffix in (".md", ".png"):
            place = f"benchmarks/{path.name}"
            files.append(File.generated(config, place, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    """Rewrites the links of the pages in docs/ and of the benchmark reports."""
    markdown = markdown.replace("](../benchmarks/", "](benchmarks/").replace("](../docs/", "](../")
    return linked(markdown, "../")


def linked(text: str, folder: str) -> str:
    """Returns the text with links to the files outside docs/ rewritten."""
    for name, target in PAGES.items():
        text = text.replace(f"]({folder}{name}", f"]({target}")
    return text

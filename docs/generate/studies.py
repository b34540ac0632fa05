"""Pages of the studies: their READMEs, and the pictures that these show."""

import re
import shutil
from pathlib import Path

_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def write(experiments: Path, folder: Path) -> None:
    """Writes a page a study, and an index of them.

    Links to other studies and to documentation lead to their pages, pictures are
    copied, and files that are only in the repository are named there.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for readme in sorted(experiments.glob("*/README.md")):
        name = readme.parent.name
        (folder / name).mkdir(parents=True)
        (folder / f"{name}.md").write_text(_page(readme, folder / name))
    (folder / "index.md").write_text(_index(experiments))


def _page(readme: Path, pictures: Path) -> str:
    name = readme.parent.name

    def link(found):
        picture, text, target = found.groups()
        if target.startswith(("http", "#")):
            return found.group(0)
        if picture:
            shutil.copyfile(readme.parent / target, pictures / Path(target).name)
            return f"![{text}]({name}/{Path(target).name})"
        if study := re.fullmatch(r"\.\./(\w+)/README\.md(#.+)?", target):
            return f"[{text}]({study.group(1)}.md{study.group(2) or ''})"
        if page := re.fullmatch(r"\.\./\.\./docs(/.+\.md(?:#.+)?)", target):
            return f"[{text}]({page.group(1)})"
        return _named(text, readme.parent / target.split("#")[0], readme.parents[2])

    return _LINK.sub(link, readme.read_text())


def _named(text, path, root):
    place = path.resolve().relative_to(root.resolve()).as_posix()
    plain = text.strip("`")
    return f"`{place}`" if plain in place else f"{text} (`{place}`)"


def _index(experiments):
    text = (experiments / "README.md").read_text()
    text = re.sub(r"\]\((\w+)/README\.md\)", r"](\1.md)", text)
    return re.sub(r"\[(\w+)\]\(\1\)", r"`experiments/\1`", text)

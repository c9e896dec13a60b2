"""What tests/pages.py finds wrong with a page."""

import pages
import pytest

from anonbench.errors import UserError

FINE = """# A page
```bash
anonbench list methods
```
```text
blackout
...
pixelate
```
```toml gate.toml
value = 1
```
```python run
print(open("gate.toml").read())
```
```text
value =  1
```
See `anonbench info NAME`, `anonbench run --method my-method ...` and
`anonbench table DIR --layout g2face-table-1`.
"""


def test_a_true_page_is_followed(anonbench, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    pages.assert_known(FINE)
    for line in pages.mentioned(FINE):
        pages.understood(line, whole=False)
    pages.Reader(tmp_path, anonbench, lambda name: None).follow(FINE)
    assert len(pages.mentioned(FINE)) == 3


@pytest.mark.parametrize(
    ("true", "wrong"),
    [
        ("blackout\n...\npixelate", "pixelate\n...\nblackout"),
        ("value =  1", "value = 2"),
        ("```bash\n", "```bash exit 1\n"),
        ("list methods", "list nothing"),
        ("anonbench list methods", "echo blackout pixelate"),
    ],
)
def test_a_page_that_is_not_true_fails(anonbench, tmp_path, monkeypatch, true, wrong) -> None:
    monkeypatch.chdir(tmp_path)
    assert true in FINE
    with pytest.raises(AssertionError):
        pages.Reader(tmp_path, anonbench, lambda name: None).follow(FINE.replace(true, wrong, 1))


@pytest.mark.parametrize(
    "block",
    [
        "```\nanonbench list methods\n```",
        "```sh\nanonbench list methods\n```",
        "```bash later\nanonbench list methods\n```",
        "```python\nprint(1)\n```",
        "```python run.py\nprint(\n```",
        "```toml\na = \n```",
        "```text\nnobody said so\n```",
        "```bash needs models\nanonbench run --method pixelate\n```",
        "```bash needs models\nanonbench run --method pixelate:blocks=2 --protocol lfw-tar\n```",
        "```bash needs models\nanonbench run --method pixelat --protocol lfw-tar\n```",
        "```bash needs models\nanonbench run --metod pixelate --protocol lfw-tar\n```",
        "```bash needs models\nanonbench table runs --layout g2face-table-9\n```",
        "```bash needs models\nanonbench plot rok runs --out roc.pdf\n```",
        "```bash needs models\nanonbench weights import g2fac FILE\n```",
        "```bash needs network\npip install 'anonbench[face]'\n```",
        "```bash needs network\nmake everything\n```",
        "```bash needs network\ncurl example.org\n```",
        "```bash needs models\nanonbench list methods\n```\n```text\nblackout\n```",
    ],
)
def test_a_block_that_is_not_sound_fails(block) -> None:
    with pytest.raises((AssertionError, UserError, SyntaxError, ValueError, KeyError)):
        pages.assert_known(f"# A page\n{block}\n")


@pytest.mark.parametrize("span", ["anonbench runs", "anonbench info pixelat", "make everything"])
def test_a_command_in_a_sentence_must_exist(span) -> None:
    (line,) = pages.mentioned(f"Type `{span}` first.")
    with pytest.raises(AssertionError):
        pages.understood(line, whole=False)

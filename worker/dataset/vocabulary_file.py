"""Vocabularies as files: the tags that are used, and which category segments mean them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
)

from shared.domain.vocabulary import clean_segment
from shared.errors import DatasetError

#: In lower case, as the tags of products are: any other would never be met.
Tag = Annotated[
    str, StringConstraints(strip_whitespace=True, to_lower=True, min_length=1, max_length=200)
]
Tags = Annotated[
    tuple[Tag, ...], BeforeValidator(lambda tags: [tags] if isinstance(tags, str) else tags)
]
Segment = Annotated[str, AfterValidator(clean_segment)]
_MAX_BYTES = 16 << 20


class FixedVocabulary(BaseModel):
    """Tags that somebody decided on. A written `vocabulary.json` can be read as one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    tags: Annotated[tuple[Tag, ...], Field(min_length=1)]
    aliases: Annotated[dict[Segment, Tags], Field(default_factory=dict)]

    def tags_of(self, segment: str) -> tuple[str, ...]:
        """The tags that a clean segment stands for; itself where nothing else is said."""
        return self.aliases.get(segment, (segment,))


def read_vocabulary(path: Path) -> FixedVocabulary:
    """Reads a list of tags, or `{"tags": [...], "aliases": {segment: tag or [tags]}}`.

    Raises:
        DatasetError: it cannot be read, or an alias means a tag that is not in the list.
    """
    try:
        with path.open("rb") as stream:
            content = json.loads(stream.read(_MAX_BYTES))
    except OSError as error:
        raise DatasetError(f"{path}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise DatasetError(f"{path} is no JSON") from None
    if not isinstance(content, (list, dict)):
        raise DatasetError(f"{path} is neither a list of tags nor an object with `tags`")
    try:
        vocabulary = FixedVocabulary.model_validate(
            {"tags": content} if isinstance(content, list) else content
        )
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        where = ".".join(map(str, wrong["loc"]))
        raise DatasetError(f"{path}: {where}: {wrong['msg']}") from None
    meant = {tag for tags in vocabulary.aliases.values() for tag in tags}
    if unknown := sorted(meant - set(vocabulary.tags)):
        raise DatasetError(f"{path}: aliases mean {unknown[0]!r}, which is not among the tags")
    return vocabulary


def write_vocabulary(
    path: Path,
    products: Mapping[str, int],
    of_products: int,
    aliases: Mapping[str, tuple[str, ...]],
) -> None:
    """Writes the tags, sorted, and how many of the products carry each."""
    content = {
        "tags": sorted(products),
        "aliases": {segment: list(tags) for segment, tags in sorted(aliases.items())},
        "products": dict(sorted(products.items())),
        "of_products": of_products,
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

"""The sentiment treebank as trees, as sequences and as bags of words."""

import itertools
from typing import Any, NamedTuple

import numpy as np

import lstm_jax as lj
from experiments.structures._training import Item
from lstm_jax.tasks import Vocabulary
from lstm_jax.tasks.text import SentimentTreebank

CLASSES = 5


class Sentence(NamedTuple):
    """A tree with the class of each node, and its words in order, in lower case.

    spans: the first word of each node, and the one behind its last ``[n, 2]``.
    """

    tree: lj.tree.Tree
    labels: np.ndarray
    words: list[str]
    spans: np.ndarray


class Treebank(NamedTuple):
    """The sentences of each part."""

    train: list[Sentence]
    validation: list[Sentence]
    test: list[Sentence]


def read(treebank: SentimentTreebank) -> Treebank:
    """Reads the trees of all parts."""
    return Treebank(*([read_sentence(text) for text in part] for part in treebank))


def read_sentence(text: str) -> Sentence:
    """Reads a tree, whose root is node 0 and whose children stand behind their parents."""
    tree = lj.tree.from_brackets(text)
    words: list[str] = []
    spans = np.zeros((len(tree.children), 2), np.int32)
    for node, word in enumerate(tree.words):
        spans[node] = len(words)
        if word is not None:
            words.append(word.lower())
            spans[node, 1] = len(words)
    for node in reversed(range(len(tree.children))):
        if tree.children[node]:
            spans[node, 1] = spans[tree.children[node][-1], 1]
    return Sentence(tree, np.array(tree.labels, np.int32), words, spans)


def vocabulary_of(sentences: list[Sentence], min_count: int) -> Vocabulary:
    """The words of the training sentences; rarer ones are unknown."""
    return Vocabulary.from_rows([sentence.words for sentence in sentences], min_count=min_count)


def tree_items(sentences: list[Sentence], words: Vocabulary, *, every_node: bool) -> list[Item]:
    """Trees with a word at each leaf, of which every node counts, or the root alone."""
    items = []
    for sentence in sentences:
        ids = np.zeros(len(sentence.labels), np.int32)
        leaves = [node for node, word in enumerate(sentence.tree.words) if word is not None]
        ids[leaves] = words.encode(sentence.words)
        weights = np.full(len(ids), float(every_node), np.float32)
        weights[0] = 1.0
        items.append(Item(sentence.tree, ids, sentence.labels, weights))
    return items


def phrases(sentences: list[Sentence], words: Vocabulary) -> tuple[list[np.ndarray], np.ndarray]:
    """The words and the class of each node, each pair once."""
    found: dict[tuple, None] = {}
    for sentence in sentences:
        ids = words.encode(sentence.words)
        for (first, last), label in zip(sentence.spans, sentence.labels, strict=True):
            found[(tuple(int(i) for i in ids[first:last]), int(label))] = None
    return [np.array(row, np.int32) for row, _ in found], np.array([y for _, y in found], np.int32)


def roots(sentences: list[Sentence], words: Vocabulary) -> tuple[list[np.ndarray], np.ndarray]:
    """The words and the class of each sentence."""
    rows = [np.asarray(words.encode(sentence.words), np.int32) for sentence in sentences]
    return rows, root_labels(sentences)


def root_labels(sentences: list[Sentence]) -> np.ndarray:
    """The classes of the sentences."""
    return np.array([sentence.labels[0] for sentence in sentences], np.int32)


def naive_bayes(seen: list[Sentence]) -> Any:
    """Multinomial naive Bayes on words and pairs of words, with one added to each count."""
    try:
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.naive_bayes import MultinomialNB
        from sklearn.pipeline import make_pipeline
    except ImportError:
        raise ImportError(
            "treebank: naive Bayes needs scikit-learn; pip install 'lstm_jax[experiments]'"
        ) from None
    model = make_pipeline(CountVectorizer(analyzer=_ngrams), MultinomialNB())
    return model.fit([sentence.words for sentence in seen], root_labels(seen))


def _ngrams(words: list[str]) -> list[str]:
    return [*words, *map(" ".join, itertools.pairwise(words))]

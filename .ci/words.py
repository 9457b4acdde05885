"""Words that this project does not use, and what to write instead.

Usage: python .ci/words.py

Prints `path:line: word -> write ...` for each use in code and documentation (line 0: in the name
of the file), and exits with 1 if there is one. Each entry of a table is a regular expression:

- a space in it matches any gap: spaces, a line break, a hyphen, an underscore;
- it matches whole words and parts of names: `dial` is found in `turn_dial` and not in `radial`.

Where the word is right all the same, end its line with the comment `# words: ok`.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

FILES = (
    "skcascade/**/*.py",
    "tests/**/*.py",
    "benchmarks/*.py",
    "examples/*",
    "docs/*.*",
    "docs/_ext/*.py",
    "docs/user_guide/**/*.*",
    "changes/*.md",
    ".ci/*",
    "README.md",
    "CONTRIBUTING.md",
    "conftest.py",
    "pyproject.toml",
    "setup.cfg",
)

#: A word -> what to write instead.
WORDS = {
    # Costs
    "dear|dearer|dearest": "expensive, more expensive, most expensive",
    "prices?|priced|pricing": "cost; the cost weight (alpha)",
    "tolls?|tariffs?": "cost",
    "the big one only": "the large model only adds cost",
    # Operating points
    "dial(s|ed|led|ing|ling)?": "operating-point parameter; change the operating point",
    # The walk
    "(leave|leaves|leaving)(?! (out|it|alone|no|nothing|one)(?![a-z])| "
    "[^.]{1,50} (alone|unchanged|as (is|it|they|before)))": "exit; exit rate, exits per stage",
    "lets? go|letting go": "release, free",
    "go on|goes on|going on|gone on|went on": "defer; continue",
    "way of|ways of": "walk, route, outcome; how to",
    "coin toss(es)?": "random mixture of two stages",
    # Answers and confidence
    "no answers?": "reject, abstain",
    "silent|silence": "reject, abstain; cost of abstaining",
    "announc(e|es|ed|ing)": "predict",
    "(too )?(boldly|shyly)": "overconfident, underconfident for that class",
    "chances? to be right": "probability of being correct, calibrated confidence",
    "chances": "calibrated confidences",
    "bare confidences?": "uncalibrated confidence",
    # Certificates
    "fresh rows|rows of proof": "test split of the certificate",
    "capital(?! letters?)": "wealth",
    "stakes?|staked": "bet",
    "bettors?": "bet",
    # Samples and rows are "it"
    "who|whom|whoever": "that, which, it; write of samples as things",
    "everybody|anybody|nobody|somebody": "all samples, any sample, no sample",
    "hardly any(body)?": "few samples",
    # Plain English
    "learnt": "learned",
    "seldom": "rarely",
    "in place of|beside": "instead of; compared with; next to",
    "by heart": "memorized",
    "to the letter": "exactly as in the paper",
    "belongs? into": "belong in",
    "promise it": "Guarantee the accuracy",
    "second thoughts": "Abstention and drift",
    "where we lose": "Where other methods are cheaper",
    "against what else there is": "Comparison with other methods",
    "what it brought": "for results, see ...",
    "of this one learns": "Findings",
}

#: A name in code -> the name that it has now. Case counts.
NAMES = {
    "Trace.with_no_answer|with_no_answer": "with_reject",
    "fit_path": "fit_alphas",
    "PathPolicy": "AlphaPathPolicy",
    "fit_each": "fit_alphas",
    "held_out_size|HeldOutSize": "sample_size, SampleSize",
    r"\.among\(": ".answered_by(",
    r"\.named\(": ".with_names(",
    "Held(?!-out| out)": "CachedState",
    "CachedState[- ]out": "held-out",
    "CachedState states": "cached states",
    "Witness": "CountingEvidence",
    "Judged": "Scored",
    "thaw": "unwrap_frozen",
    "heard": "has_callbacks",
    "hand_back": "restore_device",
}

#: A British spelling -> the American one.
SPELLINGS = {
    "(behavi|col|fav|flav|hon|hum|lab|neighb|rig|rum)our": "-or",
    "(binar|character|discret|emphas|final|general|initial|maxim|minim|normal|optim|organ"
    "|parallel|parameter|penal|priorit|quant|random|real|recogn|regular|serial|special|standard"
    "|summar|util|vector|visual)is(e|ed|er|ers|es|ing|ation|ations)(?![a-z])": "-ize, -ization",
    "analys(e|ed|ing)(?![a-z])": "analyze",
    "(cancel|channel|label|model|signal|travel)l(ed|ing)": "-led, -ling with one l",
    "cent(re|res|red)(?![a-z])": "center",
    "(defen|licen|offen)ces?(?![a-z])": "-se",
    "catalogue": "catalog",
    "artefact": "artifact",
    "(?<![a-z])grey": "gray",
}

EXEMPT = "words: ok"


def whole(pattern):
    """A regular expression of whole words, in which a space is any gap."""
    gap = r"[\\s#_-]+"
    return rf"(?<![A-Za-z])(?:{re.sub(' ', gap, pattern)})(?![A-Za-z])"


def rules():
    """Compiled expressions and what to write instead."""
    for pattern, write in WORDS.items():
        yield re.compile(whole(pattern), re.IGNORECASE | re.DOTALL), write
    for pattern, write in NAMES.items():
        edge = "" if pattern.startswith("\\") else r"(?<![A-Za-z])"
        yield re.compile(f"{edge}(?:{pattern})"), write
    for pattern, write in SPELLINGS.items():
        yield re.compile(pattern, re.IGNORECASE), write


def uses(text, name=""):
    """Line, word and what to write instead, for each word of the tables in `text`."""
    lines = [name, *text.splitlines()]
    whole_text = "\n".join(lines)
    for expression, write in rules():
        for match in expression.finditer(whole_text):
            line = whole_text.count("\n", 0, match.start())
            if EXEMPT not in lines[line]:
                yield line, " ".join(match[0].split()), write


def main():
    """Print the uses in all files; whether there is one."""
    paths = sorted({path for pattern in FILES for path in ROOT.glob(pattern) if path.is_file()})
    found = False
    for path in paths:
        name = path.relative_to(ROOT).as_posix()
        if path.suffix not in (".png", ".svg", ".pyc") and path != Path(__file__).resolve():
            for line, word, write in sorted(uses(path.read_text(encoding="utf-8"), name)):
                print(f"{name}:{line}: {word} -> write {write}")
                found = True
    return found


if __name__ == "__main__":
    sys.exit(main())

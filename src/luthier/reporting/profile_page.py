"""A profile as people read it: the same facts in the terminal and on one self-contained page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from luthier.data.profile import Lengths, Profile
from luthier.evaluation.formatting import share
from luthier.languages import retell, tell

_MOST_LABELS = 30


def facts(profile: Profile) -> Iterator[tuple[str, str]]:
    """What was seen, as (what, how much)."""
    readable = profile.rows - profile.bad_rows
    kinds = (f"{count:,} {kind} file{'s' if count != 1 else ''}" for kind, count in profile.kinds.items())
    yield "rows", f"{profile.rows:,} in {', '.join(kinds)}"
    yield "encoding", ", ".join(_counted(name, count, profile.files) for name, count in profile.encodings.items())
    yield "format", profile.reason
    if profile.bad_rows:
        told = "; ".join(f"{reason} ({count:,})" for reason, count in list(profile.bad_reasons.items())[:3])
        yield "unreadable", f"{_of(profile.bad_rows, profile.rows)}: {told}"
    if not readable or profile.format is None:
        return
    yield "characters a row", _lengths(profile.characters)
    if profile.tokens is not None:
        yield "tokens a row", _lengths(profile.tokens)
    yield "script", ", ".join(f"{name} {_of(rows, readable)}" for name, rows in profile.scripts.items())
    yield "exact duplicates", _of(profile.exact_duplicates, readable)
    yield "near-duplicates", f"{profile.near_duplicates:,} among the first {profile.sampled:,} rows"
    yield "wrong encoding", _of(profile.mojibake, readable)
    personal = [f"{kind} in {found['rows']:,} rows" for kind, found in profile.personal.items()]
    yield "personal data", ", ".join(personal) or "none found"


def summary(profile: Profile) -> list[str]:
    """The profile in a few lines, in the language that is spoken."""
    about = {
        "path": profile.path,
        "rows": profile.rows,
        "files": tell("{count} files", count=profile.files) if profile.files > 1 else profile.kind,
        "encoding": profile.encoding or tell("no text encoding"),
        "language": tell(profile.language),
    }
    lines = [tell("{path}: {rows:,} rows, {files}, {encoding}, language: {language}", **about)]
    lines.append(tell("format: {reason}", reason=retell(profile.reason)))
    if profile.labels:
        shown = [f"{label} {count:,}" for label, count in list(profile.labels.items())[:12]]
        rest = [tell("and {count} more", count=len(profile.labels) - 12)] if len(profile.labels) > 12 else []
        lines.append(tell("labels: {labels}", labels=tell(", ").join(shown + rest)))
    lengths = {"median": profile.median, "p95": profile.p95, "longest": profile.longest}
    lines.append(tell("characters a row: {median:,} in the middle, {p95:,} for 95 %, {longest:,} at most", **lengths))
    if profile.exact_duplicates or profile.near_duplicates:
        counts = {"exact": profile.exact_duplicates, "near": profile.near_duplicates, "sampled": profile.sampled}
        lines.append(
            tell(
                "duplicates: {exact:,} exact, {near:,} near ones among the first {sampled:,} rows; "
                "data.clean drops them",
                **counts,
            )
        )
    return lines


def _of(count: int, total: int) -> str:
    return f"{count:,} ({share(count / max(total, 1))})" if count else "none"


def _counted(name: str, count: int, files: int) -> str:
    return name if files == 1 else f"{name} ({count:,} files)"


def _lengths(lengths: Lengths) -> str:
    return (
        f"{lengths.median:,} in the middle, {lengths.p95:,} for 95 %, {lengths.longest:,} at most, "
        f"{lengths.total:,} together"
    )


def page(profiles: Sequence[Profile]) -> str:
    """All profiles as one HTML page; everything from the data is escaped."""
    from luthier.reporting.report import templates

    shown = [
        {
            "profile": profile,
            "facts": list(facts(profile)),
            "labels": [
                (label, rows, rows / sum(profile.labels.values()))
                for label, rows in list(profile.labels.items())[:_MOST_LABELS]
            ],
            "more_labels": max(len(profile.labels) - _MOST_LABELS, 0),
        }
        for profile in profiles
    ]
    return templates().get_template("profile.html.jinja").render(shown=shown)

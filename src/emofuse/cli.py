"""`emofuse`, the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from emofuse.core.errors import DataError, MediaError, guard
from emofuse.core.files import check_writable
from emofuse.core.params import ServeParams, load_params, params_at_hand
from emofuse.core.paths import MODELS_DIR
from emofuse.core.presets import preset_arguments
from emofuse.core.progress import progress
from emofuse.evaluation.probe.command import probe_command
from emofuse.extraction.cache import FeatureCache
from emofuse.fetch.command import fetch_command

if TYPE_CHECKING:
    from emofuse.inference.offline import Answer
    from emofuse.inference.predictor import Predictor

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Emotion recognition in filmed dialogues.")
cache = typer.Typer(no_args_is_help=True, help="What was extracted once, so that it is not extracted again.")
app.add_typer(cache, name="cache")
app.command("probe")(probe_command)
app.command("fetch")(fetch_command)

Model = Annotated[Path, typer.Option(help="the folder of a bundle")]
JsonLines = Annotated[bool, typer.Option("--json", help="a line of JSON each, not a table")]
Pretrained = Annotated[
    bool, typer.Option("--pretrained", help="classifiers that were trained elsewhere, in place of a model of your own")
]
Classifiers = Annotated[
    list[str] | None,
    typer.Option("--classifier", help="MODALITY=NAME for --pretrained: text, audio or visual; a hub name or a folder"),
]
Yes = Annotated[bool, typer.Option("--yes", help="bring what --pretrained needs without being asked")]
Gigabytes = Annotated[float | None, typer.Option(min=0, help="leave so much; extract.cache_gb unless given")]


@app.callback()
def main() -> None:
    """Emotion recognition in filmed dialogues."""


def _loaded(model: Path) -> Predictor:
    """The predictor of a bundle; what it has learnt from is said."""
    from emofuse.inference.predictor import Predictor

    predictor = Predictor.load(model)
    typer.echo(f"trained on {predictor.bundle.learnt_from.sentence}", err=True)
    return predictor


def _folder(model: Path, pretrained: bool, classifiers: list[str] | None, yes: bool) -> Path:
    """The folder of the bundle that is asked for."""
    if not pretrained and not classifiers:
        return model
    from emofuse.inference.without_data import choose_classifiers, made_once

    def agree(lines: list[str]) -> bool:
        """Show what would be brought, and ask unless --yes has agreed; without a terminal the answer is no."""
        typer.echo("\n".join(lines), err=True)
        return yes or (sys.stdin.isatty() and typer.confirm("bring them?", err=True))

    return made_once(choose_classifiers(params_at_hand(), classifiers or []), agree)


@app.command()
def predict(
    clips: Annotated[list[Path] | None, typer.Argument(help="video or sound files", show_default=False)] = None,
    text: Annotated[str, typer.Option(help="what was said in them")] = "",
    csv: Annotated[Path | None, typer.Option(help="rows with clip, text, dialogue, speaker")] = None,
    out: Annotated[Path | None, typer.Option(help="where the rows are written with their answers")] = None,
    transcribe: Annotated[
        bool,
        typer.Option("--transcribe", help="hear the words of clips; --pretrained does so where it can"),
    ] = False,
    model: Model = MODELS_DIR / "champion",
    pretrained: Pretrained = False,
    classifier: Classifiers = None,
    yes: Yes = False,
    json_lines: JsonLines = False,
) -> None:
    """Answer clips, a text, or the rows of a CSV file; a bad one is an error in its place."""
    with guard():
        from emofuse.core.records import Utterance
        from emofuse.inference.heard import listener, named_listener
        from emofuse.inference.offline import answered, as_line

        if (csv is None) != (out is None):
            raise DataError("found one of --csv and --out; expected both or neither")
        hears = named_listener if transcribe else listener if pretrained or classifier else lambda *_: None
        if csv is not None and out is not None:
            from emofuse.inference.table_answers import answer_table, read_questions, write_answers  # with pandas

            table = read_questions(csv)
            check_writable(out)
            predictor = _loaded(_folder(model, pretrained, classifier, yes))
            steps = answer_table(predictor, table, csv.parent, hears(params_at_hand().serve, predictor.bundle))
            answers = list(progress(steps, "predict", len(table.rows), "utterance"))
            for note in table.notes + write_answers(table, answers, out):
                typer.echo(note, err=True)
            wrong = sum("error" in answer for answer in answers)
            typer.echo(f"{out}: {len(answers)} rows, {wrong} with an error")
            return
        if not clips and not text:
            raise DataError("found nothing to answer; give clips, --text, or --csv with --out")
        line = Utterance(text)
        asked = [replace(line, clip=clip) for clip in clips or []] or [line]
        heard = [None] * len(asked)
        predictor = _loaded(_folder(model, pretrained, classifier, yes))
        if named := hears(params_at_hand().serve, predictor.bundle):
            from emofuse.inference.hearing import hear_clips

            asked, heard = map(list, zip(*hear_clips(asked, named), strict=True))
        wrong = 0
        for utterance, words, answer in zip(asked, heard, answered(predictor, asked), strict=True):
            name = str(utterance.clip or text)
            typer.echo(as_line({"clip": name}, answer | ({"heard": words.model_dump()} if words else {}), json_lines))
            if answer.get("note"):
                typer.echo(f"{name}: {answer['note']}; the label is the model's habit", err=True)
            wrong += "error" in answer or bool(answer["note"])
        raise typer.Exit(bool(wrong))


@app.command("timeline")
def timeline_command(
    video: Annotated[Path, typer.Argument(help="a film")],
    transcript: Annotated[Path | None, typer.Option(help="what was said: SRT, VTT, or JSON with times")] = None,
    window: Annotated[float | None, typer.Option(min=0.5, help="seconds; the transcript's lines unless given")] = None,
    hop: Annotated[float | None, typer.Option(min=0.5, help="seconds from one window to the next")] = None,
    people: Annotated[bool, typer.Option("--people", help="a row a person and window, as CSV unless --json")] = False,
    transcribe: Annotated[bool, typer.Option("--transcribe", help="hear the words; speech makes the windows")] = False,
    speakers: Annotated[
        bool,
        typer.Option(
            "--speakers",
            help="with --transcribe: tell by serve.speakers who says each line, or, where that is null, by hand-made "
            "sound features, which often confuse voices; answers come once all is heard",
        ),
    ] = False,
    count: Annotated[
        int | None, typer.Option("--speaker-count", min=1, help="how many speak, where you know; as --speakers")
    ] = None,
    out: Annotated[
        list[Path] | None, typer.Option(help="also write them to a file, or several: .csv, .svg, .srt, .vtt, .json")
    ] = None,
    model: Model = MODELS_DIR / "champion",
    pretrained: Pretrained = False,
    classifier: Classifiers = None,
    yes: Yes = False,
    json_lines: JsonLines = False,
) -> None:
    """Answer a film window by window, or tell who is seen in each."""
    with guard():
        from emofuse.inference.subtitles import check_timeline, write_timeline

        if transcribe and (transcript or window or hop):
            raise DataError("found --transcribe and --transcript, --window or --hop; expected one way to cut the video")
        speakers = speakers or count is not None
        if speakers and not transcribe:
            raise DataError("found --speakers without --transcribe; expected both: lines are heard, then told apart")
        for path in out or []:
            check_timeline(path)
        limits = params_at_hand().serve
        predictor = _loaded(_folder(model, pretrained, classifier, yes))
        if transcribe:
            from emofuse.inference.hearing import answer_speech

            answers, total = answer_speech(predictor, video, limits, speakers, count), None
        else:
            answers, total = _windows(predictor, video, transcript, window, hop, limits)
        given, failure = _print_answers(progress(answers, "timeline", total, "window"), people, json_lines)
        for path in (out or []) if given or failure is None else []:
            write_timeline(path, given)
        if speakers and given:
            typer.echo(f"speakers are told apart by {given[0]['voices']}", err=True)
        if failure is not None:
            raise DataError(f"{video}: {failure}")
        if transcribe and not given:
            typer.echo(f"{video}: no speech in the sound", err=True)


def _windows(
    predictor: Predictor,
    video: Path,
    transcript: Path | None,
    window: float | None,
    hop: float | None,
    limits: ServeParams,
) -> tuple[Iterator[Answer], int | None]:
    """The answers for a film cut by time or by its transcript, and how many they will be, where that is known."""
    from emofuse.inference import films
    from emofuse.inference.transcript import Transcript, read_transcript
    from emofuse.media.decode import probe_duration

    script = read_transcript(transcript) if transcript else Transcript()
    length = window or hop or (0 if script.lines else limits.timeline_window)
    total = len(script.lines) if script.lines and not length else None
    with suppress(MediaError):  # not every file tells its length
        total = int(probe_duration(video) / (hop or length)) + 1 if length else total
    return films.answer_windows(predictor, video, script, length, hop or length, limits.timeline_seconds), total


def _print_answers(answers: Iterable[Answer], people: bool, json_lines: bool) -> tuple[list[Answer], MediaError | None]:
    """Print the answers for a film as they come, or who is seen in them; the last line tells why it ends early."""
    from emofuse.inference import films

    if people and not json_lines:
        typer.echo(films.csv_line(films.PERSON))
    given = []
    try:
        for answer in answers:
            given.append(answer)
            if people:
                typer.echo("".join(f"{line}\n" for line in films.people_lines(answer, json_lines)), nl=False)
            else:
                typer.echo(films.window_line(answer, json_lines))
    except MediaError as error:
        if json_lines:
            typer.echo(json.dumps({"error": str(error)}, ensure_ascii=False))
        return given, error
    return given, None


@app.command("preset")
def preset_command(name: Annotated[str, typer.Argument(help="of a file in presets/", show_default=False)]) -> None:
    """Print a preset as the arguments of `dvc exp run`: `dvc exp run $(emofuse preset original)`."""
    with guard():
        typer.echo(" ".join(preset_arguments(name)))


@app.command()
def serve(
    pretrained: Pretrained = False,
    classifier: Classifiers = None,
    yes: Yes = False,
    host: Annotated[str, typer.Option(help="who may ask: 127.0.0.1 for this machine, 0.0.0.0 for all")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 3000,
) -> None:
    """Serve the champion of this folder over HTTP, or classifiers that were trained elsewhere."""
    with guard():
        from emofuse.inference.description import bundle_version
        from emofuse.service.store import serve_from

        folder = _folder(MODELS_DIR / "champion", pretrained, classifier, yes)
        bundle_version(folder)  # what is no bundle is a message
        place = folder.parents[1]
        if pretrained or classifier:
            from emofuse.inference.without_data import write_service_params  # with torch

            write_service_params(params_at_hand(), place)
        serve_from(place, host, port)


@app.command()
def deploy(
    back: Annotated[bool, typer.Option("--back", help="to the version before")] = False,
) -> None:
    """Make a Bento of the model that has the alias `champion` in MLflow's registry; run where params.yaml is."""
    with guard():
        from emofuse.service.store import build_bento, known_bento
        from emofuse.tracking import fetched_champion, step_back

        if back:
            typer.echo(f"champion is version {step_back()} again")
        with fetched_champion() as folder:
            tag = (known_bento(folder) if back else None) or build_bento(folder)
        typer.echo(f"{tag} is ready; serve it with `bentoml serve {tag}`")


def _opened() -> tuple[FeatureCache, Path, float]:
    run = load_params().extract
    return FeatureCache(run.cache, round(run.cache_gb * 2**30)), run.cache, run.cache_gb


@cache.command()
def show() -> None:
    """Show what the cache holds."""
    with guard():
        kept, folder, limit = _opened()
        with closing(kept):
            typer.echo(f"{folder}: {kept.size() / 2**20:.1f} MiB of at most {limit:g} GiB")
            for modality, (count, size) in kept.counts().items():
                typer.echo(f"  {modality:<10}{count:>10} entries{size / 2**20:>12.1f} MiB")


@cache.command()
def prune(gb: Gigabytes = None) -> None:
    """Remove the least recently used entries; `--gb 0` removes all."""
    with guard():
        kept, _, _ = _opened()
        with closing(kept):
            removed = kept.prune(None if gb is None else round(gb * 2**30))
            typer.echo(f"removed {removed} entries; {kept.size() / 2**20:.1f} MiB are left")


@app.command("compare")
def compare_command(
    sources: Annotated[
        list[str], typer.Argument(help="DVC revisions or experiments, MLflow runs, bundles, or workspace")
    ],
    split: Annotated[str, typer.Option(help="the rows to compare on")] = "test",
    html: Annotated[Path | None, typer.Option(help="write the comparison as a page, too")] = None,
) -> None:
    """Compare two or more models on the rows that they share, with paired intervals.

    Each is `workspace`, a DVC revision or experiment, an MLflow run id, a bundle folder or a predictions.parquet;
    `:MODEL` after it names another model than the champion: `emofuse compare main my-exp my-exp:text`.
    """
    with guard():
        # These load scikit-learn and pandas, which the other commands do without.
        from emofuse.evaluation.comparison import compare
        from emofuse.evaluation.sources import read_source
        from emofuse.reporting.comparison_page import comparison_lines, write_comparison

        params = load_params()
        if html is not None:
            check_writable(html)
        answers = [read_source(name, _run_file) for name in sources]
        result = compare(answers, split, params.evaluate.resamples, params.seed)
        rows_of = f"{result.rows} {split} rows in {result.groups} {result.drawn}"
        _print_table(comparison_lines(result), f"{rows_of}, 95% intervals; less and wins: of weighted F1")
        typer.echo("\n".join(result.notes()))
        if html is not None:
            write_comparison(html, result)


@app.command("score")
def score_command(
    data: Annotated[list[str], typer.Argument(help="labelled data: a path, or LAYOUT:PATH as `meld:../MELD`")],
    model: Annotated[
        list[str] | None, typer.Option(help="a bundle folder, MLflow run or DVC revision[:MODEL]; several, too")
    ] = None,
    label_map: Annotated[
        list[str] | None, typer.Option("--map", help="LABEL=CLASS: a label of the data is the model's class")
    ] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="write the figures as JSON, too")] = None,
    html: Annotated[Path | None, typer.Option(help="write them as a page, too")] = None,
) -> None:
    """Measure finished models on labelled data that they were not made from, and track what they reach.

    Each corpus is read as `ingest` would read it, all its splits together; a path without a layout by ingest.layout.
    """
    with guard():
        from emofuse.datasets.manifest import read_corpus
        from emofuse.datasets.named_corpus import corpus_params
        from emofuse.evaluation.bundle_sources import opened_bundle
        from emofuse.evaluation.corpus_score import score_corpus
        from emofuse.inference.predictor import Predictor
        from emofuse.reporting.score_page import class_lines, score_lines, write_scores
        from emofuse.service.store import add_score
        from emofuse.tracking import fetched_run, track_score

        params = load_params()
        for path in filter(None, (as_json, html)):
            check_writable(path)
        ingests = {name: corpus_params(name, label_map or [], params.ingest) for name in data}
        corpora = {name: read_corpus(ingest, params.extract.cache) for name, ingest in ingests.items()}
        scores = []
        for asked in model or [str(MODELS_DIR / "champion")]:
            with opened_bundle(asked, fetched_run) as (folder, home):
                predictor = Predictor.load(folder)
                scores += [
                    score_corpus(predictor, rows, ingests[name], name, params, home) for name, rows in corpora.items()
                ]
        _print_table(score_lines(scores), "95% intervals")
        for each in scores:
            _print_table(class_lines(each), f"{each.model} on {each.data}")
            typer.echo("\n".join(each.notes()))
        write_scores(scores, as_json, html)
        for each in scores:
            track_score(each)
            add_score(each.version, each.elsewhere)


def _print_table(lines: list[list[str]], title: str) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for column in lines[0]:
        justify: Literal["left", "right"] = "left" if column in ("", "model", "label") else "right"
        # In a narrow terminal names give way, figures stay whole.
        gives_way = column in ("model", "rows")
        table.add_column(column.replace(" ", "\n"), justify=justify, overflow="fold", no_wrap=not gives_way)
    for row in lines[1:]:
        table.add_row(*(cell.replace(" to ", "…") if "\n" in cell else cell for cell in row))
    Console().print(table)


@app.command()
def doctor(
    update: Annotated[bool, typer.Option("--update", help="write the fingerprint that others are held to")] = False,
) -> None:
    """Say what decides rounding on this machine, and whether it gives the committed bytes; run where params.yaml is."""
    with guard():
        from emofuse.doctor.checks import CORPUS, FINGERPRINT, examine, machine, write_fingerprint

        remedy = "`dvc repro corpus` builds the corpus where ingest.layout is demo"
        if update:
            try:
                write_fingerprint(load_params())
            except FileNotFoundError as error:
                raise DataError(f"{error.filename}: no such file; {remedy}") from None
            typer.echo(f"wrote {FINGERPRINT}")
            return
        for name, value in machine().items():
            typer.echo(f"{name:<12}{value}")
        steps = []
        for step in examine():
            steps.append(step)
            typer.echo(f"  {step.name:<20}{'not run' if step.actual is None else 'same' if step.same else 'differs'}")
        if any(step.actual is None for step in steps):
            typer.echo(f"some steps need the clips of the built-in corpus below {CORPUS}: {remedy}")
        different = [step.name for step in steps if step.actual is not None and not step.same]
        if different:
            typer.echo(f"the first step that differs is: {different[0]}")
        else:
            typer.echo("every step that was run came out to the byte")
        raise typer.Exit(bool(different))


def _run_file(run: str, path: str) -> Path:
    from emofuse.tracking import run_file

    return run_file(run, path)

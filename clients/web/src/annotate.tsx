// Judging a set of queries: for each a pool of moments to grade, drag, or add by hand.

import { useEffect, useMemo, useState } from "preact/hooks";
import { type Moment, search, thumbnail } from "./api";
import { shot } from "./evidence";
import { fresh, judged, type Judgement, latest, overlap, record } from "./feedback";
import { clock, plural, span } from "./format";
import { NOWHERE, said as asking, setting } from "./place";
import { Watch } from "./watch";
import { Written } from "./written";
import { Picture } from "./picture";

const BEST = 8; // moments of the pool from the top of the list
const DEEP = 6; // and from further down, so that what search misses is judged too

interface Task {
  query: string;
  judged: number;
}

export function Annotate() {
  const given = useMemo(() => new URLSearchParams(location.search), []);
  const collection = given.get("c") ?? "";
  const [annotator, setAnnotator] = useState(setting("annotator"));
  const [tasks, setTasks] = useState<Task[]>([]);
  const [at, setAt] = useState(-1);
  const [error, setError] = useState("");

  useEffect(() => {
    const query = new URLSearchParams({ annotator, ...(collection && { collection }) });
    fetch(`/api/sets/${encodeURIComponent(given.get("set") ?? "")}?${query}`)
      .then(async (response) => {
        const answer = await response.json().catch(() => null);
        if (!response.ok) throw new Error(answer?.error?.message ?? "This address names no set of queries; `spr annotate` prints one that does");
        setTasks(answer.queries);
        setAt(answer.queries.findIndex((one: Task) => !one.judged));
        setError("");
      })
      .catch((refused: Error) => setError(refused.message));
  }, [annotator]);

  const done = tasks.filter((one) => one.judged).length;
  const task = tasks[at];
  const next = () => {
    const from = [...tasks.slice(at + 1), ...tasks.slice(0, at)].find((one) => !one.judged);
    setAt(from ? tasks.indexOf(from) : -1);
  };
  const count = (query: string, by: number) =>
    setTasks((all) => all.map((one) => (one.query === query ? { ...one, judged: Math.max(0, one.judged + by) } : one)));
  return (
    <div class="page annotate" data-at="results">
      <header class="top">
        <a class="mark" href="./" aria-label="SPR, start page">
          spr<i aria-hidden="true" />
        </a>
        {tasks.length > 0 && (
          <>
            <p role="status">
              {done} of {plural(tasks.length, "query", "queries")} judged
              <progress max={tasks.length} value={done} aria-label="Judged queries" />
            </p>
            <label class="dim">
              Your name{" "}
              <Written value={annotator} maxLength={80} onChange={(event) => setAnnotator(setting("annotator", event.currentTarget.value.trim()))} />
            </label>
          </>
        )}
      </header>
      {error && (
        <p class="note bad" role="alert">
          {error}
        </p>
      )}
      {task ? (
        <Pool key={`${task.query}/${annotator}`} collection={collection} q={task.query} count={(by) => count(task.query, by)} next={next} />
      ) : (
        tasks.length > 0 && (
          <main class="start">
            <h1>{done < tasks.length ? `${plural(tasks.length - done, "query", "queries")} skipped` : "All judged"}</h1>
            <p>
              Train on it: <code>spr train ranker COLLECTION --feedback</code>
            </p>
          </main>
        )
      )}
    </div>
  );
}

interface PoolProps {
  collection: string;
  q: string;
  count: (by: number) => void;
  next: () => void;
}

function Pool({ collection, q, count, next }: PoolProps) {
  const [pool, setPool] = useState<Moment[] | null>(null);
  const [said, setSaid] = useState<Judgement[]>([]);
  const [chosen, setChosen] = useState<Moment | null>(null);
  const [error, setError] = useState("");

  useEffect(() => {
    const control = new AbortController();
    const failed = (refused: Error) => control.signal.aborted || setError(refused.message);
    (async () => {
      let moments: Moment[] = [];
      for await (const answer of search(collection, `${asking({ ...NOWHERE, q })}&asis=1`, control.signal, 60)) moments = answer.moments;
      const mixed = mix(moments, q);
      setPool(mixed);
      setChosen(mixed[0] ?? null);
      const before = await judged(collection, q);
      // What was graded meanwhile stays.
      setSaid((all) => [...all, ...before]);
    })().catch(failed);
    return () => control.abort();
  }, []);

  const of = (one: Moment) => latest(said, one.video, [one.start, one.end]);
  const left = pool?.filter((one) => !of(one)) ?? [];
  const kept = (one: Judgement) => {
    setSaid((all) => [one, ...all]);
    count(1);
  };
  const none = async () => {
    try {
      const rows = left.map((one) => ({
        id: fresh(),
        query: q,
        video: one.video,
        span: [one.start, one.end] as [number, number],
        grade: 0,
        shown: [one.start, one.end] as [number, number],
        rank: one.rank,
      }));
      if (rows.length) for (const one of await record(collection, rows)) kept(one);
      next();
    } catch (refused) {
      setError((refused as Error).message);
    }
  };
  const add = (one: Moment) => {
    setPool((all) => [...(all ?? []), one]);
    setChosen(one);
  };
  return (
    <div class="body">
      <main aria-label={`Moments for ${q}`}>
        <h1>{q}</h1>
        {error && <p role="alert">{error}</p>}
        {pool === null && !error && <p role="status">Searching…</p>}
        <ol class="pool">
          {pool?.map((one) => (
            <li>
              <button type="button" aria-pressed={one === chosen} onClick={() => setChosen(one)}>
                <Picture src={thumbnail(collection, one.video, shot(one))} alt="" loading="lazy" />
                <span>
                  {one.video} <span class="dim">{span(one.start, one.end)}</span>
                </span>
                <b>{of(one)?.grade ?? ""}</b>
              </button>
            </li>
          ))}
        </ol>
        <p class="onward">
          <button type="button" disabled={!pool} onClick={none}>
            {left.length === pool?.length ? "None here" : left.length ? "None of the rest" : "Next query"}
          </button>
          <button type="button" class="quiet" onClick={next}>
            Skip
          </button>
        </p>
        <ByHand add={add} video={chosen?.video ?? ""} />
      </main>
      {chosen && (
        <Watch
          place={{ ...NOWHERE, q, collection, video: chosen.video, start: chosen.start, end: chosen.end }}
          moments={pool ?? []}
          open={(one) => setChosen(pool?.find((other) => other.video === one.video && overlap([other.start, other.end], [one.start, one.end]) > 0.99) ?? one)}
          close={() => setChosen(null)}
          kept={kept}
        />
      )}
    </div>
  );
}

function ByHand({ add, video }: { add: (one: Moment) => void; video: string }) {
  const [error, setError] = useState("");
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const given = new FormData(event.currentTarget as HTMLFormElement);
    const [start, end] = [seconds(`${given.get("start")}`), seconds(`${given.get("end")}`)];
    const named = `${given.get("video")}`.trim();
    if (!named || !(start >= 0 && end > start)) return setError("Name a video, and a start before its end: 1:02 or 62.5.");
    setError("");
    add({ video: named, start, end, rank: 0, score: 0, confidence: null, refined: false, proposal: [start, end], best: null });
  };
  return (
    <details>
      <summary>Add a moment by hand</summary>
      <form onSubmit={submit}>
        <label>
          Video <input name="video" key={video} defaultValue={video} />
        </label>{" "}
        <label>
          from <input name="start" size={6} placeholder={clock(0)} />
        </label>{" "}
        <label>
          to <input name="end" size={6} />
        </label>{" "}
        <button type="submit">Add</button>
        {error && <p role="alert">{error}</p>}
      </form>
    </details>
  );
}

/** Seconds of "62.5" or "1:02". */
function seconds(text: string): number {
  return text.trim() ? text.split(":").reduce((sum, part) => 60 * sum + Number(part), 0) : NaN;
}

/** The best moments and some from further down, in an order that tells no rank; the same each time. */
function mix(moments: Moment[], q: string): Moment[] {
  let state = [...q].reduce((sum, letter) => (Math.imul(sum, 31) + letter.charCodeAt(0)) | 0, 7);
  const random = () => (state = (Math.imul(state, 1664525) + 1013904223) | 0) >>> 0;
  const shuffled = <T,>(all: T[]) => all.map((one) => [random(), one] as const).sort((a, b) => a[0] - b[0]).map(([, one]) => one);
  return shuffled([...moments.slice(0, BEST), ...shuffled(moments.slice(BEST)).slice(0, DEEP)]);
}

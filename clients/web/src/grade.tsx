// A person's grade of a moment: a key or a click, kept at once; boundaries moved by the handles.

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Moment } from "./api";
import { Drag } from "./drag";
import { forget, fresh, GRADES, judged, type Judgement, latest, record, type Span } from "./feedback";
import { clock } from "./format";
import type { Window } from "./timeline";

interface Props {
  collection: string;
  q: string;
  moment: Moment;
  window: Window;
  duration: number;
  kept?: (one: Judgement) => void;
}

type Said = { id: string; grade: number | null; span: Span };

/** Grades `moment` for `q`, with a key of its own for each. What was said before is shown; changes are saved as they are made. */
export function Grade({ collection, q, moment, window, duration, kept }: Props) {
  const shown: Span = [moment.start, moment.end];
  const [said, setSaid] = useState<Said>({ id: "", grade: null, span: shown });
  const [before, setBefore] = useState<Said[]>([]);
  const [state, setState] = useState<"" | "saving" | "saved" | "undone">("");
  const [error, setError] = useState("");

  // What is said here is newer than a list of judgements that comes late.
  const touched = useRef(false);

  useEffect(() => {
    judged(collection, q).then(
      (all) => {
        const found = touched.current ? undefined : latest(all, moment.video, shown);
        if (found) setSaid({ id: found.id, grade: found.grade, span: found.span });
        if (found) setState("saved");
      },
      () => {},
    );
  }, []);

  const save = async (grade: number, span: Span) => {
    const next = { id: fresh(), grade, span };
    const was = said;
    touched.current = true;
    setSaid(next);
    setState("saving");
    setError("");
    try {
      const [one] = await record(collection, [{ ...next, query: q, video: moment.video, shown: moment.rank ? shown : null, rank: moment.rank }]);
      setBefore((all) => [...all, was]);
      setState("saved");
      if (one) kept?.(one);
    } catch (refused) {
      setSaid((now) => (now.id === next.id ? was : now));
      setState(was.id ? "saved" : "");
      setError((refused as Error).message);
    }
  };
  const undo = async () => {
    const was = before.at(-1);
    if (!was) return;
    try {
      await forget(collection, [said.id]);
      setSaid(was);
      setBefore(before.slice(0, -1));
      setState(was.id ? "saved" : "undone");
    } catch (refused) {
      setError((refused as Error).message);
    }
  };

  useLayoutEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.target as HTMLElement).closest("input, select, textarea, dialog")) return;
      if (event.ctrlKey || event.metaKey || event.altKey || !/^[0-4]$/.test(event.key)) return;
      event.preventDefault();
      save(Number(event.key), said.span);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });

  const change = (span: Span, done: boolean) => {
    // Moved boundaries of an ungraded moment say that it is right there.
    if (done) save(said.grade ?? 4, span);
    else {
      touched.current = true;
      setSaid({ ...said, span });
    }
  };
  return (
    <section class="grade" aria-label="Your judgement">
      <Drag span={said.span} window={window} duration={duration} change={change} />
      <div class="grades" role="group" aria-label="How well does it show what you asked for?">
        {GRADES.map((name, number) => (
          <button type="button" aria-pressed={said.grade === number} title={`${number}: ${name}`} onClick={() => save(number, said.span)}>
            <b>{number}</b> {name}
          </button>
        ))}
      </div>
      <p class="dim" role="status">
        {clock(said.span[0], true)}–{clock(said.span[1], true)} {state === "saving" ? "saving…" : state === "saved" ? "saved" : state === "undone" ? "undone" : "not judged"}{" "}
        {before.length > 0 && (
          <button type="button" class="quiet" onClick={undo}>
            Undo
          </button>
        )}
      </p>
      {error && <p role="alert">{error}</p>}
    </section>
  );
}

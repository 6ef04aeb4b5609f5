// One search at a time: its answers as they arrive, and how long a person waited for them.

import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Answer, more, Refused, search } from "./api";

export interface Search {
  // What the rest is about; not yet what is asked, until the first of it is there.
  of: string;
  answer: Answer | null;
  error: Refused | null;
  // Why there is no further page; the list stays.
  halted: Refused | null;
  // "": nothing asked; then what is being waited for.
  waiting: "" | "coarse" | "refined" | "more";
  // Milliseconds from Enter to the screen.
  coarse: number;
  refined: number;
}

const NOTHING: Search = { of: "", answer: null, error: null, halted: null, waiting: "", coarse: 0, refined: 0 };

// A coarse list is on the screen sooner without the cards below it; they follow, or the refined list does.
const AT_ONCE = 12;
const SOON = 100; // ms

/** When what was set is on the screen; a page in the background has no frames. */
const painted = () =>
  new Promise<void>((done) => {
    if (document.hidden) return done();
    requestAnimationFrame(() => requestAnimationFrame(() => done()));
  });

/** said: the query string of what is asked, "" for nothing. */
export function useSearch(said: string, collection: string) {
  const [state, setState] = useState<Search>(NOTHING);
  const running = useRef<AbortController>();
  const of = `${collection} ${said}`;

  const run = useCallback(async () => {
    running.current?.abort();
    if (!said) return setState(NOTHING);
    const control = (running.current = new AbortController());
    const began = performance.now();
    // The list before stays until the next one is there: nothing flashes.
    setState((was) => ({ ...was, of, error: null, halted: null, waiting: "coarse", coarse: 0, refined: 0 }));
    try {
      let rest: ReturnType<typeof setTimeout> | undefined;
      for await (const answer of search(collection, said, control.signal)) {
        if (control.signal.aborted) return;
        clearTimeout(rest);
        const coarse = answer.stage === "coarse";
        const first = coarse ? { ...answer, moments: answer.moments.slice(0, AT_ONCE) } : answer;
        setState((was) => ({ ...was, answer: first, waiting: coarse ? "refined" : "" }));
        if (coarse) rest = setTimeout(() => control.signal.aborted || setState((was) => ({ ...was, answer })), SOON);
        // The coarse list is seen, even where the refined one is a breath behind it.
        await painted();
        if (control.signal.aborted) return;
        const took = performance.now() - began;
        setState((was) => ({ ...was, [answer.stage]: took }));
      }
      setState((was) => ({ ...was, waiting: "" }));
    } catch (error) {
      if (control.signal.aborted) return;
      const refused = error instanceof Refused ? error : new Refused(`${error}`, "PAGE", null);
      setState((was) => ({ ...was, error: refused, waiting: "" }));
    }
  }, [said, collection]);

  // Before the next frame is drawn, not after it.
  useLayoutEffect(() => {
    run();
    return () => running.current?.abort();
  }, [run]);

  const next = useCallback(async () => {
    const { answer } = state;
    const control = running.current;
    if (!answer?.next || state.waiting || !control) return;
    setState((was) => ({ ...was, halted: null, waiting: "more" }));
    try {
      const page = await more(collection, answer.next, control.signal);
      if (control.signal.aborted) return;
      const moments = [...answer.moments, ...page.moments];
      setState((was) => ({ ...was, waiting: "", answer: { ...answer, moments, next: page.next } }));
    } catch (error) {
      // Another search has begun: its list is no place for this page.
      if (control.signal.aborted) return;
      const refused = error instanceof Refused ? error : new Refused(`${error}`, "PAGE", null);
      setState((was) => ({ ...was, halted: refused, waiting: "" }));
    }
  }, [state, collection]);

  // The render that a new query causes knows already that it waits.
  const stale: Partial<Search> = said && state.of !== of ? { error: null, halted: null, waiting: "coarse", coarse: 0, refined: 0 } : {};
  return { ...state, ...stale, again: run, next };
}

// Milliseconds after which a person waits.
const LATE = 250;

/** Whether something has lasted for a while. A style that only begins later would be a layer of its own at once. */
export function useLate(lasts: boolean): boolean {
  const [late, setLate] = useState(false);
  useEffect(() => {
    setLate(false);
    if (!lasts) return;
    const timer = setTimeout(() => setLate(true), LATE);
    return () => clearTimeout(timer);
  }, [lasts]);
  return lasts && late;
}

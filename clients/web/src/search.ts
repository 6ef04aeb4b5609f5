// One search at a time: its answers as they arrive, and how long a person waited for them.

import { useCallback, useLayoutEffect, useRef, useState } from "preact/hooks";
import { type Answer, more, Refused, search } from "./api";

export interface Search {
  answer: Answer | null;
  error: Refused | null;
  // "": nothing asked; then what is being waited for.
  waiting: "" | "coarse" | "refined" | "more";
  // Milliseconds from Enter to the screen.
  coarse: number;
  refined: number;
}

const NOTHING: Search = { answer: null, error: null, waiting: "", coarse: 0, refined: 0 };

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

  const run = useCallback(async () => {
    running.current?.abort();
    if (!said) return setState(NOTHING);
    const control = (running.current = new AbortController());
    const began = performance.now();
    // The list before stays until the next one is there: nothing flashes.
    setState((was) => ({ ...was, error: null, waiting: "coarse", coarse: 0, refined: 0 }));
    try {
      for await (const answer of search(collection, said, control.signal)) {
        if (control.signal.aborted) return;
        setState((was) => ({ ...was, answer, waiting: answer.stage === "coarse" ? "refined" : "" }));
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
    setState((was) => ({ ...was, waiting: "more" }));
    try {
      const page = await more(collection, answer.next, control.signal);
      if (control.signal.aborted) return;
      const moments = [...answer.moments, ...page.moments];
      setState((was) => ({ ...was, waiting: "", answer: { ...answer, moments, next: page.next } }));
    } catch (error) {
      // Another search has begun: its list is no place for this page.
      if (control.signal.aborted) return;
      const refused = error instanceof Refused ? error : new Refused(`${error}`, "PAGE", null);
      setState((was) => ({ ...was, error: refused, waiting: "" }));
    }
  }, [state, collection]);

  return { ...state, again: run, next };
}

// Judgements: what the gateway keeps of a person's grades and moved boundaries.

import { Refused } from "./api";
import { setting } from "./place";

export type Span = [start: number, end: number];

export interface Judgement {
  id: string;
  query: string;
  video: string;
  span: Span;
  grade: number;
  shown: Span | null;
  rank: number;
  annotator: string;
}

/** Said by its number, on the key of the same number. */
export const GRADES = ["not it", "hardly", "partly", "well", "exactly"] as const;

async function asked<T>(method: string, collection: string, body?: unknown, query = ""): Promise<T> {
  const given = new URLSearchParams(query);
  if (collection) given.set("collection", collection);
  let response: Response;
  try {
    response = await fetch(`/api/judgements?${given}`, {
      method,
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch {
    throw new Refused("the page's server does not answer; is `spr serve` running?", "UNREACHABLE", 1);
  }
  const answer = await response.json().catch(() => null);
  if (response.ok) return answer as T;
  const error = answer?.error;
  throw new Refused(error?.message ?? `the page's server answered ${response.status}`, error?.reason ?? "HTTP", null);
}

let sent: Promise<unknown> = Promise.resolve();

/** Returns what is kept, on disk by then. The id makes it safe to ask again. One by one: the latest counts. */
export function record(collection: string, judgements: Omit<Judgement, "annotator">[]): Promise<Judgement[]> {
  const named = judgements.map((one) => ({ ...one, annotator: setting("annotator") }));
  const kept = sent.then(() => asked<{ judgements: Judgement[] }>("POST", collection, { judgements: named }));
  sent = kept.catch(() => {});
  return kept.then((one) => one.judgements);
}

export const forget = (collection: string, ids: string[]) =>
  asked<{ deleted: number }>("DELETE", collection, { ids });

/** The judgements of a query, newest first. */
export const judged = async (collection: string, q: string): Promise<Judgement[]> =>
  (await asked<{ judgements: Judgement[] }>("GET", collection, undefined, `q=${encodeURIComponent(q)}`)).judgements;

export const fresh = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map((one) => one.toString(16).padStart(2, "0")).join("");

export function overlap([a, b]: Span, [c, d]: Span): number {
  const shared = Math.min(b, d) - Math.max(a, c);
  return Math.max(0, shared) / Math.max(1e-9, Math.max(b, d) - Math.min(a, c));
}

/** What the person at this page last said of a moment. */
export function latest(all: Judgement[], video: string, span: Span): Judgement | undefined {
  const mine = setting("annotator");
  return all.find(
    (one) =>
      one.video === video && one.annotator === mine && (overlap(one.span, span) >= 0.5 || (one.shown !== null && overlap(one.shown, span) >= 0.5)),
  );
}

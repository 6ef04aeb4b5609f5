// The gateway's endpoints.

export type Channel = "seen" | "said" | "written";
export type Method = "words" | "meaning";

/** A sentence, or a text on the screen. pieces: all of it, with what matches the query. box: shares of the picture. */
export interface Line {
  start: number;
  end: number;
  pieces: [text: string, matched: boolean][];
  box: Box | null;
}

export type Box = [left: number, top: number, right: number, bottom: number];

/** A list that a moment is in; rank from 0. */
export interface Finding {
  channel: Channel;
  method: Method;
  rank: number;
  line: Line | null;
  // Of several parts in order: of which, from 0.
  part?: number;
}

export interface Moment {
  video: string;
  start: number;
  end: number;
  rank: number;
  score: number;
  confidence: number | null;
  refined: boolean;
  proposal: [number, number];
  // The second that looks most like the query; null where it was not refined.
  best: number | null;
  // Of several sentences: where each is. Other videos with the same pictures.
  parts?: [number, number][];
  also?: { video: string; span: [number, number] }[];
  // What found it, the best rank first.
  foundBy?: Finding[];
}

/** What was made of the text: words of it that were taken for something else than a description. */
export interface Interpretation {
  text: string;
  then: string[];
  not: string[];
  lifts: { words: string; meaning: string }[];
}

export interface Answer {
  stage: "coarse" | "refined";
  moments: Moment[];
  total: number;
  next: string;
  coverage: { videos: number; searched: number; degraded: string[]; unreachable: string[] };
  ranker: string;
  collection: string;
  noConfidentMatch: boolean;
  threshold: number | null;
  truncated: boolean;
  facets?: { label: string; videos: number }[];
  allowed?: number | null;
  interpretation?: Interpretation | null;
}

export interface Curve {
  step: number;
  values: number[];
}

/** A segment of a retrieved list; rank from 0 in that list. */
export interface Segment {
  start: number;
  end: number;
  score: number;
  rank: number;
  channel: Channel;
  method: Method;
}

export interface Why {
  video: string;
  duration: number;
  segments: Segment[];
  moments: Moment[];
  frames: Curve | null;
  subtitles: Curve | null;
  ranker: string;
}

export type Cue = [start: number, end: number, text: string];

/** A text on the screen, and where it stands. */
export type Writing = [start: number, end: number, text: string, box: Box | null];

export interface Video {
  video: string;
  duration: number;
  width: number;
  height: number;
  play: { how: "direct" | "copy" | "convert"; why: string };
  cues: Cue[];
  written: Writing[];
}

export interface Clip {
  url: string;
  offset: number;
}

export interface Collection {
  name: string;
  videos: number;
  segments: number;
  // Where one can look.
  channels: Channel[];
}

/** What the service refused, in its own words. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly reason: string,
    readonly retryAfter: number | null,
  ) {
    super(message);
  }
}

const path = (kind: string, video: string) => `/${kind}/${encodeURIComponent(video)}`;

function at(where: string, values: Record<string, string | number>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) if (value !== "") query.set(name, `${value}`);
  return `${where}?${query}`;
}

export const thumbnail = (collection: string, video: string, t: number, size = 240) =>
  at(path("thumb", video), { collection, t: t.toFixed(1), size });

export const strip = (collection: string, video: string, start: number, end: number, n: number) =>
  at(path("strip", video), { collection, start: start.toFixed(1), end: end.toFixed(1), n });

export const file = (collection: string, video: string) => at(path("media", video), { collection });

export const subtitles = (collection: string, video: string) => at(path("subs", video), { collection });

async function answered(response: Response): Promise<Response> {
  if (response.ok) return response;
  const about = await response.json().catch(() => null);
  throw refusal(about) ?? new Refused(`the page's server answered ${response.status}`, "HTTP", null);
}

function refusal(about: { error?: { message: string; reason: string; retryAfter: number | null } } | null) {
  return about?.error ? new Refused(about.error.message, about.error.reason, about.error.retryAfter) : null;
}

async function asked(where: string, signal?: AbortSignal, more?: RequestInit): Promise<Response> {
  return answered(await fetch(where, { signal, ...more }).catch(broken));
}

/** What browsers say of a connection that is refused or breaks is a TypeError. */
function broken(error: unknown): never {
  if (error instanceof TypeError)
    throw new Refused("the page's server does not answer; is `spr serve` running?", "UNREACHABLE", 1);
  throw error;
}

/** An endpoint that takes a query as the page's address says it. */
const ofQuery = (where: string, said: string, collection: string) =>
  `${where}?${said}${collection && `&${new URLSearchParams({ collection })}`}`;

/** Yields the coarse answer, then the refined one. said: the query string of the query. */
export async function* search(collection: string, said: string, signal: AbortSignal, size: number | "" = ""): AsyncGenerator<Answer> {
  const response = await asked(ofQuery("/api/search", size === "" ? said : `${said}&size=${size}`, collection), signal);
  for await (const line of lines(response.body!)) {
    const value = JSON.parse(line);
    const refused = refusal(value);
    if (refused) throw refused;
    yield value as Answer;
  }
}

/** Lines of a stream, as they are complete. */
export async function* lines(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (;;) {
    const { done, value } = await reader.read().catch(broken);
    rest += decoder.decode(value, { stream: !done });
    const whole = rest.split("\n");
    rest = whole.pop()!;
    for (const line of whole) if (line) yield line;
    if (done) break;
  }
  if (rest) yield rest;
}

export const more = async (collection: string, page: string, signal: AbortSignal): Promise<Answer> =>
  (await asked(at("/api/search", { collection, page }), signal)).json();

export const explain = async (collection: string, said: string, video: string, signal: AbortSignal): Promise<Why> =>
  (await asked(ofQuery(path("api/explain", video), said, collection), signal)).json();

/** Moments of an answer as a file: of `picks`, or the first `count`. */
export async function exported(
  collection: string,
  said: string,
  format: string,
  picks: string[],
  count: number,
): Promise<{ name: string; data: Blob; away: number }> {
  const more = new URLSearchParams({ format, count: `${Math.max(1, count)}` });
  for (const one of picks) more.append("pick", one);
  const response = await asked(ofQuery("/api/export", `${said}&${more}`, collection));
  const name = /filename="([^"]+)"/.exec(response.headers.get("content-disposition") ?? "")?.[1] ?? "moments";
  return { name, data: await response.blob(), away: Number(response.headers.get("x-spr-left-out") ?? 0) };
}

const EDGE = 768; // of a picture that is searched by: no model here sees more

export const example = (id: string) => `/api/examples/${encodeURIComponent(id)}`;

/** Keeps a picture with the page's server, scaled down, in a format that it reads; returns its id. */
export async function upload(file: Blob): Promise<string> {
  const image = await createImageBitmap(file).catch(() => {
    throw new Refused("this browser cannot read that file as a picture", "BAD_PICTURE", null);
  });
  const scale = Math.min(1, EDGE / Math.max(image.width, image.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  canvas.getContext("2d")!.drawImage(image, 0, 0, canvas.width, canvas.height);
  const body = await new Promise<Blob | null>((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  const headers = { "content-type": "image/jpeg" };
  return (await (await asked("/api/examples", undefined, { method: "POST", body, headers })).json()).id;
}

export const about = async (collection: string, video: string, signal: AbortSignal): Promise<Video> =>
  (await asked(at(path("api/videos", video), { collection }), signal)).json();

export const clip = async (
  collection: string,
  video: string,
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<Clip> =>
  (await asked(at(path("clip", video), { collection, start: start.toFixed(1), end: end.toFixed(1), about: 1 }), signal)).json();

export const collections = async (): Promise<Collection[]> =>
  (await (await asked("/api/collections")).json()).collections;

/** A moment that a standing search found; times are seconds, `time` is when it was judged. */
export interface Match {
  number: number;
  name: string;
  text: string;
  video: string;
  start: number;
  end: number;
  confidence: number;
  time: string;
}

export const matches = async (collection: string, signal: AbortSignal): Promise<Match[]> =>
  (await (await asked(at("/api/matches", { collection }), signal)).json()).matches;

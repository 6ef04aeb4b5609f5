// Numbers as people read them.

/** Seconds as m:ss, h:mm:ss from an hour on; with tenths where asked. */
export function clock(seconds: number, tenths = false): string {
  const units = tenths ? Math.round(seconds * 10) : Math.round(seconds) * 10;
  const whole = Math.floor(units / 10);
  const rest = `${Math.floor((whole % 3600) / 60)}`;
  const two = (value: number) => `${value}`.padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const text = hours ? `${hours}:${rest.padStart(2, "0")}:${two(whole % 60)}` : `${rest}:${two(whole % 60)}`;
  return tenths ? `${text}.${units % 10}` : text;
}

export const span = (start: number, end: number) => `${clock(start)}–${clock(end)}`;

export const percent = (share: number) => `${Math.round(share * 100)}%`;

/** A length of time: 3.5 s, 2 min. */
export function length(seconds: number): string {
  if (seconds < 90) return `${seconds < 10 ? seconds.toFixed(1).replace(/\.0$/, "") : Math.round(seconds)} s`;
  return `${Math.round(seconds / 60)} min`;
}

/** How far a boundary was moved: "+2.5 s", "unmoved". */
export function moved(from: number, to: number): string {
  const by = to - from;
  if (Math.abs(by) < 0.05) return "unmoved";
  return `${by > 0 ? "+" : "−"}${length(Math.abs(by))}`;
}

/** What is shown of a video's id: its last part, and the folders before it. */
export function title(id: string): { name: string; folder: string } {
  const parts = id.split("/");
  return { name: parts.pop() ?? id, folder: parts.join("/") };
}

export const plural = (count: number, one: string, more = `${one}s`) =>
  `${count.toLocaleString("en")} ${count === 1 ? one : more}`;

/** A time as people write it (90, 1:30, 1:02:03), or a share (50%), for a query string; null where it is none. */
export function seconds(text: string, shares = false): string | null {
  const words = text.trim();
  if (!words) return "";
  if (shares && /^\d+(\.\d+)?%$/.test(words)) return Number(words.slice(0, -1)) <= 100 ? words : null;
  const match = /^(?:(?:(\d+):)?(\d{1,2}):)?(\d+(?:\.\d+)?)$/.exec(words);
  if (!match) return null;
  const [hours = 0, minutes = 0, rest = 0] = match.slice(1).map((part) => Number(part ?? 0));
  return `${3600 * hours + 60 * minutes + rest}`;
}

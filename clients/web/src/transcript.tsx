import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Cue, Writing } from "./api";
import { type Said, text } from "./evidence";
import { clock } from "./format";
import { Pieces } from "./found";

interface Props {
  cues: Cue[];
  written: Writing[];
  // Cues that the similarity of what is said makes stand out, and lines that found the moment.
  matched: Set<number>;
  found: Said[];
  now: number;
  seek: (seconds: number) => void;
  // A written line whose place on the screen is to be shown.
  choose: (one: Writing) => void;
}

const MOST = 2000;
const NAMES = { said: "What is said", written: "On the screen" };

export function Transcript({ cues, written, matched, found, now, seek, choose }: Props) {
  const list = useRef<HTMLOListElement>(null);
  const both = cues.length > 0 && written.length > 0;
  const [wanted, want] = useState<"said" | "written" | null>(null);
  // Until one chooses: where the moment was found.
  const kind = both ? (wanted ?? (found[0]?.channel === "written" ? "written" : "said")) : cues.length ? "said" : "written";
  const lines: (Cue | Writing)[] = kind === "said" ? cues : written;
  const pieces = useMemo(() => new Map(found.filter((one) => one.channel === kind).map((one) => [`${one.start} ${text(one)}`, one.pieces])), [found, kind]);
  const current = lines.findLastIndex(([start, end]) => now >= start && now < end);
  useEffect(() => {
    const box = list.current;
    const line = box?.children[current] as HTMLElement | undefined;
    // The list alone is scrolled, never the page.
    if (box && line) box.scrollTo({ top: line.offsetTop - box.clientHeight / 2, behavior: "smooth" });
  }, [current, kind]);
  if (!lines.length) return null;
  return (
    <section aria-label="Transcript">
      {both ? (
        <div class="switch" role="group" aria-label="Lines of">
          {(["said", "written"] as const).map((one) => (
            <button type="button" aria-pressed={one === kind} onClick={() => want(one)}>
              {NAMES[one]}
            </button>
          ))}
        </div>
      ) : (
        <h3>{NAMES[kind]}</h3>
      )}
      <ol class="transcript" ref={list} tabIndex={0} aria-label="Lines">
        {lines.slice(0, MOST).map((line, n) => {
          const [start, , words] = line;
          const marked = pieces.get(`${start} ${words}`);
          return (
            <li>
              <button
                type="button"
                aria-current={n === current || undefined}
                data-matched={marked !== undefined || (kind === "said" && matched.has(n)) || undefined}
                onClick={() => {
                  seek(start);
                  if (kind === "written") choose(line as Writing);
                }}
              >
                <time>{clock(start)}</time>
                <span>{marked ? <Pieces pieces={marked} /> : words}</span>
              </button>
            </li>
          );
        })}
      </ol>
    </section>
  );
}

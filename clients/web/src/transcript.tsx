import { useEffect, useRef } from "preact/hooks";
import type { Cue } from "./api";
import { clock } from "./format";

interface Props {
  cues: Cue[];
  matched: Set<number>;
  now: number;
  seek: (seconds: number) => void;
}

const MOST = 2000;

export function Transcript({ cues, matched, now, seek }: Props) {
  const list = useRef<HTMLOListElement>(null);
  const current = cues.findLastIndex(([start, end]) => now >= start && now < end);
  useEffect(() => {
    const box = list.current;
    const line = box?.children[current] as HTMLElement | undefined;
    // The list alone is scrolled, never the page.
    if (box && line) box.scrollTo({ top: line.offsetTop - box.clientHeight / 2, behavior: "smooth" });
  }, [current]);
  return (
    <section aria-label="Transcript">
      <h3>What is said</h3>
      <ol class="transcript" ref={list} tabIndex={0} aria-label="Lines">
        {cues.slice(0, MOST).map(([start, , text], n) => (
          <li>
            <button type="button" aria-current={n === current || undefined} data-matched={matched.has(n) || undefined} onClick={() => seek(start)}>
              <time>{clock(start)}</time>
              <span>{text}</span>
            </button>
          </li>
        ))}
      </ol>
    </section>
  );
}

import { useEffect, useState } from "preact/hooks";
import { type Match, matches } from "./api";
import { percent, span } from "./format";
import { NOWHERE, type Place, write } from "./place";

const AGAIN = 10_000; // milliseconds between looks

/** The newest matches of standing searches, each with a link into the player; nothing where there are none. */
export function Watching({ collection, go }: { collection: string; go: (to: Place) => void }) {
  const [found, setFound] = useState<Match[]>([]);
  useEffect(() => {
    const gone = new AbortController();
    const look = () => {
      if (!document.hidden) matches(collection, gone.signal).then(setFound, () => {});
    };
    look();
    const timer = setInterval(look, AGAIN);
    return () => (clearInterval(timer), gone.abort());
  }, [collection]);
  if (!found.length) return null;
  return (
    <section class="watching" aria-label="Matches of standing searches">
      <h2>Watching</h2>
      <ol>
        {found.map(({ number, name, text, video, start, end, confidence, time }) => {
          const to = { ...NOWHERE, q: text, collection, video, start, end };
          return (
            <li key={number}>
              <a href={write(to)} onClick={(event) => (event.preventDefault(), go(to))}>
                <b>{name}</b> {video} <span class="dim">{span(start, end)}</span>
              </a>
              <span class="dim" title={new Date(time).toLocaleString()}>{percent(confidence)} sure</span>
            </li>
          );
        })}
      </ol>
    </section>
  );
}

// Which channels found a moment, and the lines that did.

import type { Channel, Finding, Line } from "./api";
import { channels, excerpt, ranked, type Said, showing } from "./evidence";
import { clock } from "./format";
import { CHANNELS, type Place, toggledIn } from "./place";
import type { Change } from "./query";

const ABOUT: Record<Channel, string> = {
  seen: "In the pictures",
  said: "In subtitles and transcripts",
  written: "In texts on the screen",
};

/** What found each part of a moment; `part` is missing of a query that has but one. */
function byPart(found: Finding[] = []) {
  const parts = [...new Set(found.map(({ part }) => part))];
  return parts.map((part) => ({ part, all: channels(found.filter((one) => one.part === part)) }));
}

/** In words, for who hears the page: "found by what is seen, number 3; said, number 1". */
export const foundAs = (found: Finding[] | undefined) =>
  byPart(found)
    .map(({ part, all }) => `, ${part === undefined ? "" : `part ${part + 1} `}found by what is ${all.map(({ channel, ranks }) => `${channel}, number ${ranks[0]![1] + 1}`).join("; ")}`)
    .join("");

export function Badges({ found }: { found: Finding[] | undefined }) {
  if (!found?.length) return null;
  return (
    <span class="badges">
      {byPart(found).map(({ part, all }) => (
        <>
          {part !== undefined && <span class="dim" title={`Part ${part + 1} of the query`}>{`${part + 1}.`}</span>}
          {all.map(({ channel, ranks }) => (
            <span class="badge" data-channel={channel} title={`${ABOUT[channel]}: ${ranked(ranks)}`}>
              {channel} <b>{ranks[0]![1] + 1}</b>
            </span>
          ))}
        </>
      ))}
    </span>
  );
}

export const Pieces = ({ pieces }: Pick<Line, "pieces">) => <>{pieces.map(([piece, matched]) => (matched ? <mark>{piece}</mark> : piece))}</>;

/** A line that was found: a click plays from its start. */
export function Quote({ line, short, play }: { line: Said; short?: boolean; play: (line: Said) => void }) {
  return (
    <button type="button" class="quote" title={`Play from ${clock(line.start)}`} onClick={() => play(line)}>
      <span class="dim">
        {line.channel} <time>{clock(line.start)}</time>
      </span>{" "}
      <q>
        <Pieces pieces={short ? excerpt(line.pieces) : line.pieces} />
      </q>
    </button>
  );
}

/** Boxes of written lines over the picture, which the player fits into its frame as this does. */
export function Boxes({ all, now, shape }: { all: Said[]; now: number; shape: [width: number, height: number] }) {
  const [width, height] = shape;
  return (
    <svg class="boxes" viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {showing(all, now).map(({ box }) => {
        const [left, top, right, bottom] = box!;
        return <rect x={left * width} y={top * height} width={(right - left) * width} height={(bottom - top) * height} />;
      })}
    </svg>
  );
}

/** Where to look: nothing where there is but one channel, or nothing that has words is asked. */
export function Where({ all, place, change }: { all: Channel[]; place: Place; change: Change }) {
  const shown = CHANNELS.filter((channel) => all.includes(channel) || place.in.includes(channel));
  if (shown.length < 2 || (!place.q && (place.img.length || place.like.length))) return null;
  return (
    <div class="switch where" role="group" aria-label="Where to look">
      {shown.map((channel) => (
        <button type="button" aria-pressed={!place.in.length || place.in.includes(channel)} title={`${ABOUT[channel]} (w: one after the other)`} onClick={() => change({ in: toggledIn(place.in, channel, shown) })}>
          {channel}
        </button>
      ))}
    </div>
  );
}

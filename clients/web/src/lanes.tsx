// The timeline: what was retrieved, proposed and refined, above how similar each second is.

import { useMemo, useRef } from "preact/hooks";
import type { Cue, Moment, Why, Writing } from "./api";
import { ranked, rows, type Said } from "./evidence";
import { clock, percent, span } from "./format";
import { best, matched, path, place, share, type Window } from "./timeline";
import { Picture } from "./picture";

interface Props {
  why: Why | null;
  cues: Cue[];
  written: Writing[];
  // Lines that found the moment.
  lines: Said[];
  moment: Moment;
  window: Window;
  duration: number;
  now: number;
  strip: string;
  seek: (seconds: number) => void;
  open: (moment: Moment) => void;
}

export function Lanes({ why, cues, written, lines, moment, window, duration, now, strip, seek, open }: Props) {
  const area = useRef<HTMLDivElement>(null);
  const spoken = useMemo(() => matched(cues, why?.subtitles ?? null), [cues, why]);
  const curve = useMemo(() => (why?.frames ? path(why.frames, window) : ""), [why, window.from, window.to]);
  const led = useMemo(() => new Set(lines.map((line) => `${line.channel} ${line.start}`)), [lines]);
  const found = useMemo(() => rows(why?.segments ?? []), [why]);
  const others = why?.moments.filter((one) => one.start !== moment.start || one.end !== moment.end) ?? [];

  const secondAt = (event: PointerEvent) => {
    const box = area.current!.getBoundingClientRect();
    const along = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
    return window.from + along * (window.to - window.from);
  };
  const drag = (event: PointerEvent) => {
    if (event.button !== 0 || (event.target as HTMLElement).closest("button")) return;
    area.current!.setPointerCapture(event.pointerId);
    seek(secondAt(event));
  };
  const key = (event: KeyboardEvent) => {
    const by: Record<string, number> = { ArrowLeft: -1, ArrowRight: 1, PageDown: -10, PageUp: 10 };
    const to = event.key === "Home" ? moment.start : event.key === "End" ? moment.end - 1 : now + (by[event.key] ?? NaN);
    if (Number.isNaN(to)) return;
    event.preventDefault();
    event.stopPropagation();
    seek(to);
  };
  const inside = place(moment.start, moment.end, window);
  const head = share(now, window);
  return (
    <div class="lanes">
      <div class="names" aria-hidden="true">
        <span>frames</span>
        <span>similarity</span>
        <span>speech</span>
        {written.length > 0 && <span>screen</span>}
        {found.map((row) => (
          <span>{row.name}</span>
        ))}
        <span>proposal</span>
        <span>moment</span>
      </div>
      <div
        ref={area}
        class="area"
        role="slider"
        tabIndex={0}
        aria-label="Position in the video"
        aria-valuemin={0}
        aria-valuemax={Math.round(duration)}
        aria-valuenow={Math.round(now)}
        aria-valuetext={clock(now)}
        onPointerDown={drag}
        onPointerMove={(event) => event.buttons === 1 && area.current!.hasPointerCapture(event.pointerId) && seek(secondAt(event))}
        onKeyDown={key}
      >
        {inside && <div class="inside" style={inside} />}
        <div class="lane film">
          <Picture src={strip} alt="" draggable={false} />
        </div>
        <div class="lane curve">
          {curve && (
            <svg viewBox="0 0 1000 100" preserveAspectRatio="none" aria-hidden="true">
              <path d={curve} />
            </svg>
          )}
        </div>
        <div class="lane">
          {cues.map(([start, end, text], n) => {
            const at = place(start, end, window);
            return at && <i class="cue" data-matched={spoken.has(n) || led.has(`said ${start}`) || undefined} style={at} title={text} />;
          })}
        </div>
        {written.length > 0 && (
          <div class="lane">
            {written.map(([start, end, text]) => {
              const at = place(start, end, window);
              return at && <i class="cue" data-matched={led.has(`written ${start}`) || undefined} style={at} title={text} />;
            })}
          </div>
        )}
        {found.map((row) => (
          <div class="lane" data-channel={row.channel}>
            {row.segments.map((segment) => {
              const at = place(segment.start, segment.end, window);
              const strength = 0.18 + 0.82 * (1 - segment.ranks[0]![1] / (row.top + 1)) ** 2;
              return at && <i class="segment" style={{ ...at, opacity: strength }} title={`segment ${span(segment.start, segment.end)}, ${ranked(segment.ranks)} of those ${row.name}, score ${segment.score.toFixed(3)}`} />;
            })}
          </div>
        ))}
        <div class="lane">
          {place(...moment.proposal, window) && <i class="proposal" style={place(...moment.proposal, window)!} title={`proposal ${span(...moment.proposal)}`} />}
        </div>
        <div class="lane moments">
          {others.map((one) => {
            const at = place(one.start, one.end, window);
            return at && <i class="other" style={at} title={`moment ${one.rank}: ${span(one.start, one.end)}`} onPointerDown={(event) => (event.stopPropagation(), open(one))} />;
          })}
          {inside && <i class="refined" style={inside} title={`moment ${span(moment.start, moment.end)}`} />}
        </div>
        {head >= 0 && head <= 1 && <div class="head" style={{ left: percentOf(head) }} />}
      </div>
      <div class="scale" aria-hidden="true">
        {ticks(window).map((second) => (
          <span style={{ left: percentOf(share(second, window)) }}>{clock(second)}</span>
        ))}
      </div>
    </div>
  );
}

const percentOf = (part: number) => `${100 * part}%`;

/** Round seconds along a window, at most eight. */
function ticks({ from, to }: Window): number[] {
  const step = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200].find((one) => (to - from) / one <= 7) ?? 14400 * Math.ceil((to - from) / 14400 / 7);
  const found = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) if (share(at, { from, to }) < 0.96) found.push(at);
  return found;
}

/** Why the moment was found, as a sentence. */
export function Because({ why, moment }: { why: Why; moment: Moment }) {
  const led = best(why, moment.proposal[0], moment.proposal[1]);
  const [from, to] = moment.proposal;
  const sign = (seconds: number) => `${seconds > 0 ? "+" : "−"}${Math.abs(seconds).toFixed(1).replace(/\.0$/, "")} s`;
  const part = (what: string, by: number) => (Math.abs(by) < 0.05 ? `its ${what} stayed` : `its ${what} moved by ${sign(by)}`);
  return (
    <p class="because">
      {led && (
        <>
          Segment <b>{span(led.start, led.end)}</b> was number <b>{led.rank + 1}</b> {led.channel === "seen" ? "of all retrieved" : `by ${led.method} of what is ${led.channel}`}. It became the proposal{" "}
        </>
      )}
      {!led && "It came from the proposal "}
      <b>{span(from, to)}</b>
      {moment.refined ? `; ${part("start", moment.start - from)}, ${part("end", moment.end - to)}.` : ", which was not refined."}
      {moment.confidence !== null && ` The ranker is ${percent(moment.confidence)} sure.`}
    </p>
  );
}

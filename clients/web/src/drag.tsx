// Two handles that move a moment's boundaries: by mouse, touch and keys.

import { useRef } from "preact/hooks";
import { clock } from "./format";
import type { Span } from "./feedback";
import { place, share, type Window } from "./timeline";

const STEP = 0.1; // seconds; ten of them with shift
const SHORTEST = 0.2;

interface Props {
  span: Span;
  window: Window;
  duration: number;
  change: (span: Span, done: boolean) => void;
}

const SIDES = ["start", "end"] as const;
const tenths = (seconds: number) => Math.round(seconds * 10) / 10;

export function Drag({ span, window, duration, change }: Props) {
  const bar = useRef<HTMLDivElement>(null);
  const moved = (side: 0 | 1, to: number): Span => {
    const [start, end] = span;
    return side === 0
      ? [tenths(Math.min(Math.max(0, to), end - SHORTEST)), end]
      : [start, Math.min(duration, tenths(Math.max(start + SHORTEST, to)))];
  };
  const secondAt = (event: PointerEvent) => {
    const box = bar.current!.getBoundingClientRect();
    return window.from + ((event.clientX - box.left) / box.width) * (window.to - window.from);
  };
  const key = (side: 0 | 1) => (event: KeyboardEvent) => {
    const by: Record<string, number> = { ArrowLeft: -STEP, ArrowRight: STEP, PageDown: -1, PageUp: 1 };
    const step = by[event.key];
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    change(moved(side, span[side] + step * (event.shiftKey ? 10 : 1)), true);
  };
  const inside = place(span[0], span[1], window);
  return (
    <div class="drag" ref={bar}>
      {inside && <i class="judged" style={inside} />}
      {SIDES.map((name, number) => {
        const side = number as 0 | 1;
        const at = Math.min(1, Math.max(0, share(span[side], window)));
        return (
          <div
            class="handle"
            role="slider"
            tabIndex={0}
            style={{ left: `${100 * at}%` }}
            aria-label={`${name === "start" ? "Start" : "End"} of the moment`}
            aria-valuemin={0}
            aria-valuemax={Math.round(duration)}
            aria-valuenow={tenths(span[side])}
            aria-valuetext={clock(span[side], true)}
            onKeyDown={key(side)}
            onPointerDown={(event) => {
              if (event.button !== 0) return;
              event.preventDefault();
              event.currentTarget.focus();
              event.currentTarget.setPointerCapture(event.pointerId);
            }}
            onPointerMove={(event) => event.currentTarget.hasPointerCapture(event.pointerId) && change(moved(side, secondAt(event)), false)}
            onPointerUp={(event) => event.currentTarget.hasPointerCapture(event.pointerId) && change(moved(side, secondAt(event)), true)}
          />
        );
      })}
    </div>
  );
}

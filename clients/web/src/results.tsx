import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import type { Answer, Collection, Moment } from "./api";
import type { View } from "./app";
import { Card } from "./card";
import { Export } from "./export";
import { Facets } from "./filters";
import { percent, plural } from "./format";
import { asks, filtered, type Place, recent, spanOf } from "./place";
import { type Change, Understood } from "./query";
import { useLate, type useSearch } from "./search";

interface Props {
  found: ReturnType<typeof useSearch>;
  place: Place;
  view: View;
  current: Collection | undefined;
  ask: (q: string) => void;
  open: (moment: Moment) => void;
  play: (moment: Moment, t: number) => void;
  change: Change;
  like: (moment: Moment) => void;
  picks: ReadonlySet<string>;
  pick: (key: string) => void;
  drop: () => void;
}

export function Results({ found, place, view, current, ask, open, play, change, like, picks, pick, drop }: Props) {
  const { answer, error, waiting } = found;
  const list = useRef<HTMLOListElement>(null);
  useMoving(list, answer, view);
  const old = waiting === "coarse" || (!answer && !error);
  // Most answers are there before the old list is worth a repaint.
  const late = useLate(old);
  // What an old list was asked by. It stays as it was drawn, that nothing is drawn before the next is there.
  const of = useRef(place);
  if (!old) of.current = place;
  const shown = useMemo(
    () =>
      answer && (
        <>
          <Understood answer={answer} place={of.current} change={change} />
          <Facets answer={answer} place={of.current} change={change} />
          <Notes answer={answer} />
          <ol ref={list} class={view} aria-label="Moments, best first">
            {answer.moments.map((moment) => (
              <Card
                key={keyOf(moment)}
                moment={moment}
                answer={answer}
                place={of.current}
                here={spanOf(moment) === spanOf(of.current)}
                open={open}
                play={play}
                like={like}
                picked={picks.has(spanOf(moment))}
                pick={pick}
              />
            ))}
          </ol>
        </>
      ),
    [answer, of.current, view, picks],
  );
  if (!asks(place)) return <Start current={current} ask={ask} />;
  return (
    <main class="results" data-stage={old ? "waiting" : (answer?.stage ?? "none")}>
      <div class="above">
        <p class="line" role="status">
          <Line found={found} />
        </p>
        {!error && <Export place={place} shown={answer?.moments.length ?? 0} picks={picks} drop={drop} />}
      </div>
      {error && (
        <div class="note bad" role="alert">
          <p>
            {sentence(error.message)}
            {error.reason === "UNAVAILABLE" && " The service may be starting: try again in a few seconds."}
          </p>
          <button type="button" onClick={found.again}>
            Try again
          </button>
        </div>
      )}
      {!answer && old && <Skeleton view={view} />}
      {shown && !error && <div data-old={late || undefined}>{shown}</div>}
      {answer && !error && !old && answer.moments.length === 0 && (
        <Empty
          title="Nothing to show"
          text={
            filtered(place) > 0
              ? `${plural(answer.allowed ?? 0, "video passes", "videos pass")} the filters, and no moment of them is found. Clear filters, or say it in other words.`
              : "The collection has no moment for these words. Add videos to it, or say it in other words."
          }
        />
      )}
      {found.halted && !error && (
        <p class="note bad" role="alert">
          {sentence(found.halted.message)}
        </p>
      )}
      {answer?.next && !error && (
        <button type="button" class="more" disabled={waiting !== ""} onClick={found.next}>
          {waiting === "more" ? "Loading" : "More moments"}
        </button>
      )}
    </main>
  );
}

/** A moment keeps its card while it is refined: what it was proposed as does not change. */
const keyOf = (moment: Moment) => `${moment.video}@${moment.proposal[0]}-${moment.proposal[1]}`;

function Line({ found }: Pick<Props, "found">) {
  const { answer, waiting } = found;
  if (found.error) return <>No answer</>;
  if (!answer || waiting === "coarse") return <>Searching</>;
  const { videos, searched, degraded } = answer.coverage;
  const refined = found.refined > 0 && !degraded.includes("RANKER_SKIPPED");
  const where = searched === videos ? plural(videos, "video") : `${searched} of ${plural(videos, "video")}`;
  return (
    <>
      <b>{plural(answer.total, "moment")}</b> in {where}
      {answer.allowed != null && `, ${answer.allowed.toLocaleString("en")} let through by the filters`}
      <span class="took" data-coarse={Math.round(found.coarse)} data-refined={Math.round(found.refined)}>
        {found.coarse > 0 && ` · found in ${Math.round(found.coarse)} ms`}
        {waiting === "refined" ? " · refining" : refined && `, refined after ${Math.round(found.refined)} ms`}
      </span>
    </>
  );
}

function Notes({ answer }: { answer: Answer }) {
  const { coverage } = answer;
  const notes = [];
  if (coverage.searched < coverage.videos)
    notes.push(
      `${plural(coverage.videos - coverage.searched, "video was", "videos were")} not searched: ` +
        `${coverage.unreachable.join(", ") || "a part of the index"} does not answer. All others were searched in full.`,
    );
  if (coverage.degraded.includes("RANKER_SKIPPED"))
    notes.push("These moments are not refined: no ranker answered in time. Their boundaries are those of the segments.");
  if (answer.truncated) notes.push("The sentence is longer than the model reads; its end was left out.");
  if (answer.stage === "refined" && answer.noConfidentMatch) {
    const best = Math.max(0, ...answer.moments.map((moment) => moment.confidence ?? 0));
    notes.push(
      `No confident match. The nearest is ${percent(best)} sure; from ${percent(answer.threshold ?? 0)} on a moment counts as found.`,
    );
  }
  return (
    <>
      {notes.map((note) => (
        <p class="note">{note}</p>
      ))}
    </>
  );
}

function Start({ current, ask }: { current: Collection | undefined; ask: (q: string) => void }) {
  const earlier = recent();
  return (
    <main class="start">
      <h1>
        Find the moment.
      </h1>
      <p>
        Write a sentence. The moments that show it come at once, and again with refined boundaries.
        {current && (
          <>
            <br />
            <span class="dim">
              {plural(current.videos, "video")} in <b>{current.name}</b>, {plural(current.segments, "segment")}.
            </span>
          </>
        )}
      </p>
      {earlier.length > 0 && (
        <nav aria-label="Earlier queries">
          {earlier.map((q) => (
            <button type="button" class="chip" onClick={() => ask(q)}>
              {q}
            </button>
          ))}
        </nav>
      )}
    </main>
  );
}

const Empty = ({ title, text }: { title: string; text: string }) => (
  <div class="empty">
    <h2>{title}</h2>
    <p>{text}</p>
  </div>
);

const Skeleton = ({ view }: { view: View }) => (
  <div class={`${view} skeleton`} aria-hidden="true">
    {Array.from({ length: 8 }, () => (
      <div class="card">
        <div class="shot" />
        <div class="text">
          <span />
          <span />
        </div>
      </div>
    ))}
  </div>
);

const sentence = (text: string) => {
  const said = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(said) ? said : `${said}.`;
};

/** Cards glide from their coarse places to their refined ones. */
function useMoving(list: { current: HTMLOListElement | null }, answer: Answer | null, view: View) {
  const places = useRef(new Map<string, DOMRect>());
  useLayoutEffect(() => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    const now = new Map<string, DOMRect>();
    for (const item of list.current?.children ?? []) {
      const key = (item as HTMLElement).dataset.key!;
      const at = item.getBoundingClientRect();
      const was = places.current.get(key);
      now.set(key, at);
      if (!was || still || answer?.stage !== "refined" || (was.x === at.x && was.y === at.y)) continue;
      const from = `translate(${was.x - at.x}px, ${was.y - at.y}px)`;
      item.animate([{ transform: from }, { transform: "none" }], { duration: 260, easing: "cubic-bezier(.2,.7,.2,1)" });
    }
    places.current = now;
  }, [answer, view]);
}

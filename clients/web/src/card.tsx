import { useRef, useState } from "preact/hooks";
import { type Answer, type Moment, strip, thumbnail } from "./api";
import { lines, shot } from "./evidence";
import { length, percent, span, title } from "./format";
import { Badges, foundAs, Quote } from "./found";
import { type Place, spanOf, write } from "./place";
import { Picture } from "./picture";

const SHOTS = 10;

interface Props {
  moment: Moment;
  answer: Answer;
  place: Place;
  here: boolean;
  open: (moment: Moment) => void;
  play: (moment: Moment, t: number) => void;
  like: (moment: Moment) => void;
  // The second that is most like the query, null where nobody said yet.
  picked: boolean;
  pick: (key: string) => void;
}

export function Card({ moment, answer, place, here, open, play, like, picked, pick }: Props) {
  const { video, start, end, confidence } = moment;
  const { name, folder } = title(video);
  const [line] = lines(moment.foundBy ?? []);
  const found = confidence === null || answer.threshold === null || confidence >= answer.threshold;
  const sure = confidence === null ? "" : `, ${percent(confidence)} sure`;
  return (
    <li data-key={`${video}@${moment.proposal[0]}-${moment.proposal[1]}`} data-refined={moment.refined || undefined}>
      <a
        class="card"
        href={write({ ...place, video, start, end, t: null })}
        data-card={spanOf(moment)}
        aria-current={here || undefined}
        aria-label={`${moment.rank}. ${name}, ${span(start, end)}${sure}${moment.refined ? ", refined" : ""}${foundAs(moment.foundBy)}`}
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey || event.shiftKey) return;
          event.preventDefault();
          open(moment);
        }}
      >
        <Shot moment={moment} collection={answer.collection} />
        <div class="text">
          <span class="name" title={video}>
            {folder && <span class="dim">{folder}/</span>}
            {name}
          </span>
          <span class="facts">
            <span class="when">{span(start, end)}</span>
            <span class="dim">{length(end - start)}</span>
            <span class="mark-refined" data-on={moment.refined || undefined} title={moment.refined ? "Its boundaries are refined" : "As it was retrieved; not refined"}>
              {moment.refined ? "refined" : "coarse"}
            </span>
          </span>
          {confidence !== null && (
            <span class="sure" data-found={found || undefined} title={`${percent(confidence)} sure`}>
              <i style={{ width: percent(confidence) }} />
              <em>{percent(confidence)}</em>
            </span>
          )}
          <Badges found={moment.foundBy} />
          {moment.parts && moment.parts.length > 1 && (
            <span class="dim small">
              {moment.parts.map(([from, to], n) => (
                <>
                  {n > 0 && ", then "}
                  <span class="when">{span(from, to)}</span>
                </>
              ))}
            </span>
          )}
        </div>
      </a>
      {line && <Quote line={line} short play={() => play(moment, line.start)} />}
      <Also moment={moment} place={place} open={open} />
      <div class="acts">
        <label title="Choose for the export (x)">
          <input type="checkbox" checked={picked} aria-label={`Choose moment ${moment.rank}`} onChange={() => pick(spanOf(moment))} />
        </label>
        <button type="button" title="More like this (m)" aria-label={`More like moment ${moment.rank}`} onClick={() => like(moment)}>
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="M2 2h7v7H2zM7 7h7v7H7z" />
          </svg>
        </button>
      </div>
    </li>
  );
}

/** Videos that show the same pictures. */
function Also({ moment, place, open }: Pick<Props, "moment" | "place" | "open">) {
  if (!moment.also?.length) return null;
  return (
    <p class="also">
      also in{" "}
      {moment.also.slice(0, 3).map(({ video, span: [start, end] }, n) => (
        <>
          {n > 0 && ", "}
          <a href={write({ ...place, video, start, end, t: null })} onClick={(event) => (event.preventDefault(), open({ ...moment, video, start, end }))}>
            {title(video).name}
          </a>
        </>
      ))}
      {moment.also.length > 3 && ` and ${moment.also.length - 3} more`}
    </p>
  );
}

/** The frame that shows the moment; a pointer that moves over it leafs through the moment. */
function Shot({ moment, collection }: { moment: Moment; collection: string }) {
  const [leafed, setLeafed] = useState<{ src: string; at: number; aspect: number } | null>(null);
  const loaded = useRef<{ src: string; aspect: number }>();
  const { video, start, end } = moment;
  const src = strip(collection, video, start, end, SHOTS);
  const enter = () => {
    if (loaded.current?.src === src) return;
    const image = new Image();
    image.onload = () => (loaded.current = { src, aspect: image.naturalWidth / SHOTS / image.naturalHeight });
    image.src = src;
  };
  const move = (event: PointerEvent) => {
    if (event.pointerType === "touch" || loaded.current?.src !== src) return;
    const box = (event.currentTarget as HTMLElement).getBoundingClientRect();
    const at = Math.floor(((event.clientX - box.left) / box.width) * SHOTS);
    setLeafed({ ...loaded.current, at: Math.min(SHOTS - 1, Math.max(0, at)) });
  };
  return (
    <div class="shot" onPointerEnter={enter} onPointerMove={move} onPointerLeave={() => setLeafed(null)}>
      <Picture src={thumbnail(collection, video, shot(moment), 128)} alt="" loading="lazy" decoding="async" fetchpriority="low" />
      {leafed && leafed.src === src && (
        <>
          <div class="leaf" style={{ aspectRatio: `${leafed.aspect}` }}>
            <img src={src} alt="" style={{ width: `${SHOTS * 100}%`, left: `${-100 * leafed.at}%` }} />
          </div>
          <i class="leafbar" style={{ width: `${(100 * (leafed.at + 1)) / SHOTS}%` }} />
        </>
      )}
      <span class="stamp" aria-hidden="true">
        {moment.rank}
      </span>
    </div>
  );
}

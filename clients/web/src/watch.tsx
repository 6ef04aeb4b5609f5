import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { about as aboutVideo, explain, type Moment, Refused, strip, subtitles, thumbnail, type Video, type Why } from "./api";
import { lineOf, lines, type Said } from "./evidence";
import type { Judgement } from "./feedback";
import { clock, percent, span, title } from "./format";
import { Badges, Boxes, Quote } from "./found";
import { Grade } from "./grade";
import { Because, Lanes } from "./lanes";
import { asks, lone, type Place, said } from "./place";
import { usePlayer } from "./player";
import { around, matched } from "./timeline";
import { Transcript } from "./transcript";

const SHOTS = 14;

interface Props {
  place: Place;
  moments: Moment[];
  // Another number: play from the place's second again.
  jump?: number;
  open: (moment: Moment, replace?: boolean) => void;
  close: () => void;
  like?: (moment: Moment) => void;
  kept?: (one: Judgement) => void;
}

export function Watch({ place, moments, jump = 0, open, close, like, kept }: Props) {
  const { q, collection, video, start, end } = place;
  const query = asks(place) ? said(place) : "";
  const [about, setAbout] = useState<Video | null>(null);
  const [why, setWhy] = useState<Why | null>(null);
  const [error, setError] = useState("");
  const [whole, setWhole] = useState(false);
  const panel = useRef<HTMLElement>(null);

  useEffect(() => {
    const control = new AbortController();
    setAbout(null);
    setWhy(null);
    setError("");
    const failed = (refused: Error) => {
      if (!control.signal.aborted) setError(refused instanceof Refused ? refused.message : `${refused}`);
    };
    aboutVideo(collection, video, control.signal).then(setAbout, failed);
    if (query) explain(collection, query, video, control.signal).then(setWhy, () => setWhy(null));
    return () => control.abort();
  }, [collection, video, query]);
  useEffect(() => panel.current?.focus({ preventScroll: true }), [video, start]);

  const moment = useMemo<Moment>(() => {
    const same = (one: Moment) => one.video === video && Math.abs(one.start - start) < 0.05 && Math.abs(one.end - end) < 0.05;
    const bare = { video, start, end, rank: 0, score: 0, confidence: null, refined: false, proposal: [start, end] as [number, number], best: null };
    const listed = moments.find(same);
    const told: Moment = why?.moments.find(same) ?? listed ?? bare;
    return told.foundBy?.length || !listed?.foundBy ? told : { ...told, foundBy: listed.foundBy };
  }, [why, moments, video, start, end]);

  const player = usePlayer(collection, about?.video === video ? about : null, start, end, place.t, jump);
  const { now, playing, loop, seek, toggle } = player;
  const beyond = about && start >= about.duration ? `the video ends at ${clock(about.duration)}, before this moment begins; search again` : "";
  const duration = about?.duration ?? why?.duration ?? end;
  const window = useMemo(
    () => (whole ? { from: 0, to: duration } : around([[start, end], moment.proposal], duration)),
    [whole, duration, start, end, moment],
  );
  const found = useMemo(() => lines(moment.foundBy ?? []), [moment]);
  const [chosen, setChosen] = useState<Said[]>([]);
  useEffect(() => setChosen([]), [video]);
  const spoken = useMemo(() => matched(about?.cues ?? [], why?.subtitles ?? null), [about, why]);

  useLayoutEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.target as HTMLElement).closest("input, select, textarea, button, dialog")) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const acts: Record<string, () => void> = {
        " ": toggle,
        l: () => player.setLoop(!loop),
        ArrowLeft: () => seek(now - 1),
        ArrowRight: () => seek(now + 1),
      };
      const act = acts[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });

  const { name, folder } = title(video);
  const related = why?.moments ?? [];
  const written = about?.written ?? [];
  return (
    <aside class="watch" ref={panel} tabIndex={-1} aria-label={`${name}, ${span(start, end)}`}>
      <div class="heading">
        <h2 title={video}>
          {folder && <span class="dim">{folder}/</span>}
          {name}
          <span class="when">{span(start, end)}</span>
        </h2>
        <button type="button" class="quiet" aria-label="Close the player" onClick={close}>
          ✕
        </button>
      </div>
      <div class="screen">
        {player.source && (
          <video
            ref={player.video}
            src={player.source.url}
            playsInline
            preload="auto"
            poster={thumbnail(collection, video, start, 480)}
            aria-label={`Video ${name}`}
            onClick={toggle}
            data-offset={player.source.offset}
            {...player.events}
          >
            {about && about.cues.length > 0 && player.source.offset === 0 && (
              <track kind="subtitles" label="Subtitles" src={subtitles(collection, video)} />
            )}
          </video>
        )}
        {player.shape[0] > 0 && <Boxes all={[...found, ...chosen]} now={now} shape={player.shape} />}
        {(player.preparing || (!player.source && !error)) && (
          <p class="over" role="status">
            {about && about.play.how !== "direct" ? (about.play.how === "copy" ? "Copying this part…" : "Converting this part…") : "Loading…"}
          </p>
        )}
        {(error || player.error || beyond) && (
          <p class="over" role="alert">
            {error || player.error || beyond}
          </p>
        )}
      </div>
      <div class="controls">
        <button type="button" class="play" aria-label={playing ? "Pause" : "Play"} onClick={toggle}>
          <svg viewBox="0 0 20 20" aria-hidden="true">
            {playing ? <path d="M5 3h3.5v14H5zM11.5 3H15v14h-3.5z" /> : <path d="M5 2.5v15l12-7.5z" />}
          </svg>
        </button>
        <span class="clock">
          {clock(now, true)} <span class="dim">/ {clock(duration)}</span>
        </span>
        <button type="button" class="toggle" aria-pressed={loop} onClick={() => (loop || seek(start, true), player.setLoop(!loop))}>
          Loop
        </button>
        <button type="button" class="toggle" aria-pressed={whole} onClick={() => setWhole(!whole)}>
          Whole video
        </button>
        {like && (
          <button type="button" class="toggle" onClick={() => like(moment)}>
            More like this
          </button>
        )}
        {about && about.play.how !== "direct" && (
          <span class="dim how" title={about.play.why}>
            {about.play.how === "copy" ? "copied" : "converted"} for this page: {about.play.why}
          </span>
        )}
      </div>
      {moment.foundBy && moment.foundBy.length > 0 && (
        <section class="evidence" aria-label="Found by">
          <Badges found={moment.foundBy} />
          <ul>
            {found.map((line) => (
              <li>
                <Quote line={line} play={() => seek(line.start)} />
              </li>
            ))}
          </ul>
        </section>
      )}
      <Lanes
        why={why}
        cues={about?.cues ?? []}
        written={written}
        lines={found}
        moment={moment}
        window={window}
        duration={duration}
        now={now}
        strip={strip(collection, video, window.from, window.to, SHOTS)}
        seek={seek}
        open={(one) => open(one, true)}
      />
      {lone(place) && <Grade key={JSON.stringify([collection, q, video, moment.start, moment.end])} collection={collection} q={q} moment={moment} window={window} duration={duration} kept={kept} />}
      {why && moment.rank > 0 && <Because why={why} moment={moment} />}
      {related.length > 1 && (
        <section aria-label="Moments in this video">
          <h3>In this video</h3>
          <ol class="chips">
            {related.slice(0, 12).map((one) => (
              <li>
                <button type="button" class="chip" aria-pressed={one === moment} onClick={() => open(one, true)}>
                  <span class="dim">{one.rank}</span> {span(one.start, one.end)}
                  {one.confidence !== null && <span class="dim"> {percent(one.confidence)}</span>}
                </button>
              </li>
            ))}
          </ol>
        </section>
      )}
      {about && <Transcript cues={about.cues} written={written} matched={spoken} found={found} now={now} seek={seek} choose={(one) => setChosen([lineOf(one)])} />}
    </aside>
  );
}

// What is asked beside the sentence: pictures, clips, sentences that follow, what must not be there.

import { useState } from "preact/hooks";
import { type Answer, example, thumbnail } from "./api";
import { clock, title } from "./format";
import { type Place, readSpan } from "./place";
import { Written } from "./written";
import { Picture } from "./picture";

export const MOST_EXAMPLES = 10;
const MOST_THEN = 4;
const MOST_NOT = 5;

export type Change = (part: Partial<Place>) => void;

interface Props {
  place: Place;
  change: Change;
  add: (files: Iterable<Blob>) => void;
  adding: boolean;
}

export function Parts({ place, change, add, adding }: Props) {
  const [open, setOpen] = useState({ then: false, not: false });
  const examples = place.img.length + place.like.length;
  const without = (list: string[], n: number) => list.filter((_, k) => k !== n);
  return (
    <div class="parts" role="group" aria-label="More of the query">
      {place.img.map((id, n) => (
        <span class="example">
          <img src={example(id)} alt={`Picture ${n + 1} of the query`} />
          <Drop what={`picture ${n + 1}`} act={() => change({ img: without(place.img, n) })} />
        </span>
      ))}
      {place.like.map((one, n) => {
        const { video, start, end } = readSpan(one);
        return (
          <span class="example">
            <Picture src={thumbnail(place.collection, video, (start + end) / 2, 120)} alt="" />
            like {title(video).name} {clock(start)}
            <Drop what={`the moment of ${title(video).name}`} act={() => change({ like: without(place.like, n) })} />
          </span>
        );
      })}
      <Sentences name="then" list={place.then} open={open.then} change={(then) => (setOpen({ ...open, then: false }), change({ then }))} />
      {place.then.length > 0 && (
        <label class="field">
          within
          <Written type="number" min={0} max={3600} value={place.within} placeholder="30" onChange={(e) => change({ within: e.currentTarget.value })} />s
        </label>
      )}
      <Sentences name="not" list={place.not} open={open.not} change={(not) => (setOpen({ ...open, not: false }), change({ not }))} />
      <label class="chip file" data-off={examples >= MOST_EXAMPLES || undefined}>
        {adding ? "Adding" : "+ Picture"}
        <input
          type="file"
          accept="image/*"
          multiple
          aria-label="Search by picture"
          disabled={examples >= MOST_EXAMPLES}
          onChange={(event) => {
            add(event.currentTarget.files ?? []);
            event.currentTarget.value = "";
          }}
        />
      </label>
      {place.q !== "" && place.then.length < MOST_THEN && !open.then && (
        <button type="button" class="chip" onClick={() => setOpen({ ...open, then: true })}>
          + Then
        </button>
      )}
      {(place.q !== "" || examples > 0) && place.not.length < MOST_NOT && !open.not && (
        <button type="button" class="chip" onClick={() => setOpen({ ...open, not: true })}>
          + Not
        </button>
      )}
    </div>
  );
}

/** Fields of further sentences; an empty one is taken away. */
function Sentences({ name, list, open, change }: { name: string; list: string[]; open: boolean; change: (list: string[]) => void }) {
  const shown = open ? [...list, ""] : list;
  return (
    <>
      {shown.map((words, n) => (
        <label class="field" key={`${name} ${n} ${words}`}>
          {name}
          <Written
            value={words}
            maxLength={1000}
            autofocus={!words}
            placeholder={name === "not" ? "at night" : "it stops"}
            onKeyDown={(event) => event.key === "Enter" && event.currentTarget.blur()}
            onBlur={(event) => {
              const now = event.currentTarget.value.trim();
              if (now === words && (now || !open)) return;
              change(n < list.length ? list.map((one, k) => (k === n ? now : one)).filter(Boolean) : [...list, now].filter(Boolean));
            }}
          />
        </label>
      ))}
    </>
  );
}

const Drop = ({ what, act }: { what: string; act: () => void }) => (
  <button type="button" class="drop" aria-label={`Take away ${what}`} onClick={act}>
    ✕
  </button>
);

/** What the text was taken for; a click takes it at its word instead. */
export function Understood({ answer, place, change }: { answer: Answer | null; place: Place; change: Change }) {
  const read = answer?.interpretation;
  const lifts = read?.lifts ?? [];
  if (!lifts.length && !place.literal.length && (!read || read.text === place.q)) return null;
  return (
    <div class="understood" role="group" aria-label="What was understood">
      {read && (
        <span>
          Searched for “{read.text}”
          {read.then.map((one) => `, then “${one}”`)}
          {read.not.map((one) => `, not “${one}”`)}
        </span>
      )}
      {lifts.map((lift) => (
        <button type="button" class="chip" title="Search for these words as they stand" aria-label={`${lift.meaning}: undo, search for “${lift.words}”`} onClick={() => change({ literal: [...place.literal, lift.words] })}>
          {lift.meaning} <span aria-hidden="true">✕</span>
        </button>
      ))}
      {place.literal.map((words) => (
        <button type="button" class="chip" aria-label={`“${words}” as it stands: interpret it again`} onClick={() => change({ literal: place.literal.filter((one) => one !== words) })}>
          “{words}” as it stands <span aria-hidden="true">↺</span>
        </button>
      ))}
    </div>
  );
}

// What may be found: a panel of filters, and the labels of what was found with their counts.

import type { Answer } from "./api";
import { filtered, NO_FILTER, type Place } from "./place";
import { clock, seconds } from "./format";
import type { Change } from "./query";
import { Written } from "./written";

export const Facets = ({ answer, place, change }: { answer: Answer | null; place: Place; change: Change }) => {
  const counted = answer?.facets ?? [];
  // A chosen label stays in sight, also where nothing with it was found.
  const lost = place.label.filter((label) => !counted.some((one) => one.label === label));
  const shown = [...lost.map((label) => ({ label, videos: 0 })), ...counted].slice(0, 30);
  if (!shown.length) return null;
  return (
    <ul class="facets" aria-label="Labels of what was found">
      {shown.map(({ label, videos }) => {
        const on = place.label.includes(label);
        return (
          <li>
            <button type="button" class="chip" aria-pressed={on} onClick={() => change({ label: toggled(place.label, label) })}>
              {label} <span class="dim">{videos}</span>
            </button>
          </li>
        );
      })}
    </ul>
  );
};

const toggled = (list: string[], one: string) => (list.includes(one) ? list.filter((other) => other !== one) : [...list, one]);

export function Filters({ place, change }: { place: Place; change: Change }) {
  const count = filtered(place);
  const names = (text: string) => text.split(",").map((one) => one.trim()).filter(Boolean);
  const field = (name: "folder" | "after" | "before", label: string, more: object) => (
    <label>
      {label}
      <Written name={name} value={place[name]} onChange={(event) => change({ [name]: event.currentTarget.value.trim() })} {...more} />
    </label>
  );
  // Times as people write them; what is none stays and says so.
  const time = (name: "longer" | "shorter" | "from" | "to", label: string, shares = false) => (
    <label>
      {label}
      <Written
        name={name}
        value={place[name] && !place[name].endsWith("%") ? clock(Number(place[name])) : place[name]}
        placeholder={shares ? "10:00 or 50%" : "1:30"}
        onInput={(event) => event.currentTarget.setCustomValidity("")}
        onChange={(event) => {
          const value = seconds(event.currentTarget.value, shares);
          if (value !== null) return change({ [name]: value });
          event.currentTarget.setCustomValidity(`Write a time such as 90 or 1:30${shares ? ", or a share such as 50%" : ""}`);
          event.currentTarget.reportValidity();
        }}
      />
    </label>
  );
  return (
    <form class="filters" aria-label="Filters" onSubmit={(event) => event.preventDefault()}>
      {field("folder", "Folder", { placeholder: "news/2024" })}
      <label>
        Labels
        <Written name="label" value={place.label.join(", ")} onChange={(event) => change({ label: names(event.currentTarget.value) })} />
      </label>
      <label>
        Without labels
        <Written name="nolabel" value={place.nolabel.join(", ")} onChange={(event) => change({ nolabel: names(event.currentTarget.value) })} />
      </label>
      <label>
        Videos by id
        <Written name="id" value={place.id.join(", ")} onChange={(event) => change({ id: names(event.currentTarget.value) })} />
      </label>
      {field("after", "Dated from", { type: "date" })}
      {field("before", "Dated before", { type: "date" })}
      {time("longer", "At least so long")}
      {time("shorter", "At most so long")}
      {time("from", "Part of the video from", true)}
      {time("to", "to", true)}
      <label>
        Moments a video
        <Written name="pervideo" type="number" min={1} max={1000} value={place.pervideo} placeholder="all" onChange={(event) => change({ pervideo: event.currentTarget.value })} />
      </label>
      <label class="check">
        <input name="group" type="checkbox" checked={place.group !== ""} onChange={(event) => change({ group: event.currentTarget.checked ? "1" : "" })} />
        A video's moments together
      </label>
      {count > 0 && (
        <button type="button" onClick={() => change(NO_FILTER)}>
          Clear filters
        </button>
      )}
    </form>
  );
}

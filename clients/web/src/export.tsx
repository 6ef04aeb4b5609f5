// Moments as files: of all that are shown, or of those that were chosen.

import { useState } from "preact/hooks";
import { exported, Refused } from "./api";
import { plural } from "./format";
import { asks, type Place, said } from "./place";

const FORMATS = [
  ["csv", "CSV table"],
  ["json", "JSON"],
  ["vtt", "WebVTT chapters"],
  ["otio", "OpenTimelineIO"],
  ["fcp7xml", "Premiere (FCP7 XML)"],
  ["fcpxml", "Final Cut (FCPXML)"],
  ["edl", "Resolve (marker EDL)"],
  ["clips", "Clips (MP4)"],
] as const;

interface Props {
  place: Place;
  shown: number;
  picks: ReadonlySet<string>;
  drop: () => void;
}

export function Export({ place, shown, picks, drop }: Props) {
  const [format, setFormat] = useState<string>("csv");
  const [state, setState] = useState({ busy: false, error: "" });
  if (!asks(place) || !shown) return null;
  const save = async () => {
    setState({ busy: true, error: "" });
    try {
      const { name, data, away } = await exported(place.collection, said(place), format, [...picks], shown);
      const link = document.createElement("a");
      link.href = URL.createObjectURL(data);
      link.download = name;
      link.click();
      // The browser reads it after the click.
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
      // What is saved looks whole.
      const error = away ? `${plural(away, "moment")} left out: the file cannot be read` : "";
      setState({ busy: false, error });
    } catch (error) {
      setState({ busy: false, error: error instanceof Refused ? error.message : `${error}` });
    }
  };
  return (
    <form class="export" aria-label="Export" onSubmit={(event) => (event.preventDefault(), save())}>
      <select aria-label="Format" value={format} onChange={(event) => setFormat(event.currentTarget.value)}>
        {FORMATS.map(([name, label]) => (
          <option value={name}>{label}</option>
        ))}
      </select>
      <button disabled={state.busy}>
        {state.busy ? (format === "clips" ? "Cutting" : "Writing") : `Export ${picks.size ? `${picks.size} chosen` : plural(shown, "moment")}`}
      </button>
      {picks.size > 0 && (
        <button type="button" class="quiet" onClick={drop}>
          Choose none
        </button>
      )}
      {state.error && <p role="alert">{state.error}</p>}
    </form>
  );
}

import { useCallback, useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Collection, collections, type Moment } from "./api";
import { Help } from "./help";
import { Filters } from "./filters";
import { Where } from "./found";
import { anew, asks, CLOSED, filtered, nextIn, NOWHERE, type Place, read, remember, said, setting, spanOf, write } from "./place";
import { type Change, MOST_EXAMPLES, Parts } from "./query";
import { Results } from "./results";
import { SearchBox } from "./searchbox";
import { useSearch } from "./search";
import { useUploads } from "./uploads";
import { Watch } from "./watch";
import { Watching } from "./watching";

export type View = "grid" | "list";

export function App() {
  const [place, setPlace] = useState<Place>(() => read(location.search));
  const [served, setServed] = useState<Collection[]>([]);
  const [view, setView] = useState<View>(setting("view") === "list" ? "list" : "grid");
  const [help, setHelp] = useState(false);
  const box = useRef<HTMLInputElement>(null);
  const [filtering, setFiltering] = useState(() => filtered(place) > 0);
  const [picks, setPicks] = useState<ReadonlySet<string>>(new Set());
  // Counts what was asked to be played: the same line may be clicked twice.
  const [jumps, setJumps] = useState(0);
  const query = asks(place) ? said(place) : "";
  const found = useSearch(query, place.collection);

  useEffect(() => {
    collections().then(setServed, () => setServed([]));
    const back = () => setPlace(read(location.search));
    addEventListener("popstate", back);
    return () => removeEventListener("popstate", back);
  }, []);
  useEffect(() => {
    document.title = query ? `${[place.q || "Like the examples", ...place.then].join(", then ")} · SPR` : "SPR: moments in video";
    setPicks((was) => (was.size ? new Set() : was));
  }, [query, place.collection]);

  const go = useCallback((to: Place, replace = false) => {
    history[replace ? "replaceState" : "pushState"](null, "", write(to));
    setPlace(to);
  }, []);
  const ask = (q: string, collection = place.collection) => {
    if (q) remember(q);
    if (q === place.q && collection === place.collection) found.again();
    // Labels, ids and spans are of one collection.
    const kept = collection === place.collection ? place : NOWHERE;
    go({ ...kept, q, collection, literal: [], ...CLOSED });
  };
  const change: Change = (part) => go({ ...place, ...part, ...CLOSED });
  const uploads = useUploads((ids) => change({ img: [...new Set([...place.img, ...ids])].slice(0, MOST_EXAMPLES) }));
  const like = (moment: Moment) => go({ ...anew(place), like: [spanOf(moment)] });
  const pick = (key: string) => {
    const next = new Set(picks);
    if (!next.delete(key)) next.add(key);
    setPicks(next);
  };
  const open = useCallback(
    (moment: Moment, replace = false, t: number | null = null) => {
      const { video, start, end } = moment;
      setJumps((count) => count + 1);
      go({ ...place, video, start, end, t }, replace);
    },
    [place, go],
  );
  const close = () => {
    const was = place;
    go({ ...place, ...CLOSED });
    requestAnimationFrame(() => focusOn(was));
  };
  const look = (next: View) => {
    setting("view", next);
    setView(next);
  };

  // An address may have another Unicode form of the name than the service.
  const named = served.find((one) => one.name.normalize() === place.collection.normalize());
  const current = named ?? served[0];
  const where = current?.channels ?? [];
  const moments = useMemo(() => found.answer?.moments ?? [], [found.answer]);
  const focused = () => {
    const card = document.activeElement?.closest<HTMLElement>("[data-card]")?.dataset.card;
    return moments.find((one) => spanOf(one) === card);
  };
  const step = (by: number) => {
    if (!moments.length) return;
    const cards = [...document.querySelectorAll<HTMLElement>("[data-card]")];
    const here = place.video
      ? moments.findIndex((one) => spanOf(one) === spanOf(place))
      : cards.indexOf(document.activeElement as HTMLElement);
    const to = Math.min(moments.length - 1, Math.max(0, here < 0 ? 0 : here + by));
    if (place.video) open(moments[to]!, true);
    else cards[to]?.focus();
    cards[to]?.scrollIntoView({ block: "nearest" });
  };

  useLayoutEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const typing = (event.target as HTMLElement).closest("input, select, textarea");
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      // A dialog has the keys as long as it is open, and closes by itself.
      if (document.querySelector("dialog[open]")) return;
      if (event.key === "Escape") {
        if (typing) (typing as HTMLElement).blur();
        else if (place.video) close();
        return;
      }
      if (typing) return;
      const acts: Record<string, () => void> = {
        "/": () => (box.current?.focus(), box.current?.select()),
        j: () => step(1),
        k: () => step(-1),
        g: () => look(view === "grid" ? "list" : "grid"),
        f: () => setFiltering(!filtering),
        w: () => where.length > 1 && change({ in: nextIn(place.in, where) }),
        x: () => focused() && pick(spanOf(focused()!)),
        m: () => focused() && like(focused()!),
        "?": () => setHelp(true),
      };
      const act = acts[event.key];
      if (!act) return;
      event.preventDefault();
      act();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  });

  return (
    <div class="page" data-at={place.video ? "moment" : query ? "results" : "start"}>
      <header class="top">
        <a class="mark" href="./" onClick={(event) => (event.preventDefault(), go({ ...NOWHERE, collection: place.collection }))} aria-label="SPR, start page">
          spr<i aria-hidden="true" />
        </a>
        <SearchBox
          input={box}
          q={place.q}
          waiting={found.waiting !== "" && found.waiting !== "more"}
          collections={served}
          collection={named?.name ?? place.collection}
          ask={ask}
        />
        <div class="tools">
          <div class="switch" role="group" aria-label="Layout">
            {(["grid", "list"] as const).map((one) => (
              <button type="button" aria-pressed={view === one} onClick={() => look(one)}>
                {one === "grid" ? "Grid" : "List"}
              </button>
            ))}
          </div>
          <button type="button" class="quiet" aria-label="Keyboard shortcuts" onClick={() => setHelp(true)}>
            ?
          </button>
        </div>
      </header>
      <div class="bar">
        <Where all={where} place={place} change={change} />
        <Parts place={place} change={change} add={uploads.add} adding={uploads.adding} />
        <button type="button" class="chip" aria-expanded={filtering} onClick={() => setFiltering(!filtering)}>
          Filters{filtered(place) > 0 && ` (${filtered(place)})`}
        </button>
      </div>
      {uploads.error && (
        <p class="note" role="alert">
          {uploads.error}
        </p>
      )}
      {filtering && <Filters place={place} change={change} />}
      <div class="body">
        <Results
          found={found}
          place={place}
          view={view}
          current={current}
          ask={(q) => go({ ...anew(place), q })}
          open={open}
          play={(moment, t) => open(moment, false, t)}
          change={change}
          like={like}
          picks={picks}
          pick={pick}
          drop={() => setPicks(new Set())}
        />
        {!query && !place.video && <Watching collection={current?.name ?? ""} go={go} />}
        {place.video !== "" && <Watch place={place} jump={jumps} moments={moments} open={open} close={close} like={like} />}
      </div>
      {help && <Help close={() => setHelp(false)} />}
    </div>
  );
}

/** Gives the focus back to the card that was opened. */
function focusOn(place: Place) {
  document.querySelector<HTMLElement>(`[data-card="${CSS.escape(spanOf(place))}"]`)?.focus();
}

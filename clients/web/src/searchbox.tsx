import type { RefObject } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import type { Collection } from "./api";
import { recent } from "./place";
import { useLate } from "./search";

interface Props {
  input: RefObject<HTMLInputElement>;
  q: string;
  waiting: boolean;
  collections: Collection[];
  collection: string;
  ask: (q: string, collection?: string) => void;
}

export function SearchBox({ input, q, waiting, collections, collection, ask }: Props) {
  const [earlier, setEarlier] = useState(recent);
  // What was just typed is there already.
  useLayoutEffect(() => {
    if (input.current!.value !== q) input.current!.value = q;
  }, [q]);
  return (
    <form
      class="ask"
      role="search"
      action="./"
      onSubmit={(event) => {
        event.preventDefault();
        ask(input.current!.value.trim());
        input.current!.blur();
      }}
    >
      <svg class="lens" viewBox="0 0 20 20" aria-hidden="true">
        <circle cx="8.5" cy="8.5" r="5.5" />
        <path d="m13 13 4.5 4.5" />
      </svg>
      <input
        ref={input}
        type="search"
        name="q"
        aria-label="Describe a moment"
        placeholder="Describe a moment"
        defaultValue={q}
        maxLength={1000}
        autocomplete="off"
        spellcheck={false}
        list="earlier"
        autofocus={!q}
        onFocus={() => setEarlier(recent())}
      />
      <datalist id="earlier">
        {earlier.map((one) => (
          <option value={one} />
        ))}
      </datalist>
      {collections.length > 1 && (
        <select
          aria-label="Collection"
          value={collection || collections[0]!.name}
          onChange={(event) => ask(input.current!.value.trim(), event.currentTarget.value)}
        >
          {collections.map((one) => (
            <option value={one.name}>{one.name}</option>
          ))}
        </select>
      )}
      <kbd aria-hidden="true">/</kbd>
      <div class="wait" hidden={!useLate(waiting)} />
    </form>
  );
}

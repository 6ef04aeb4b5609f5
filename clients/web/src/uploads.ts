// Pictures that are chosen, pasted or dropped.

import { useEffect, useRef, useState } from "preact/hooks";
import { Refused, upload } from "./api";

/** done: gets the ids of pictures that the page's server keeps now. */
export function useUploads(done: (ids: string[]) => void) {
  const [state, setState] = useState({ adding: false, error: "" });
  const latest = useRef(done);
  latest.current = done;

  const add = async (files: Iterable<Blob>) => {
    const pictures = [...files];
    if (!pictures.length) return;
    setState({ adding: true, error: "" });
    let error = "";
    const ids: string[] = [];
    for (const picture of pictures.slice(0, 10)) {
      try {
        ids.push(await upload(picture));
      } catch (refused) {
        error = refused instanceof Refused ? refused.message : `${refused}`;
      }
    }
    setState({ adding: false, error });
    if (ids.length) latest.current(ids);
  };

  useEffect(() => {
    const of = (data: DataTransfer | null) => [...(data?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    const pasted = (event: ClipboardEvent) => {
      const pictures = of(event.clipboardData);
      if (pictures.length) event.preventDefault();
      add(pictures);
    };
    // Without this a browser opens the file in place of the page.
    const over = (event: DragEvent) => event.dataTransfer?.types.includes("Files") && event.preventDefault();
    const dropped = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      add(of(event.dataTransfer));
    };
    addEventListener("paste", pasted);
    addEventListener("dragover", over);
    addEventListener("drop", dropped);
    return () => {
      removeEventListener("paste", pasted);
      removeEventListener("dragover", over);
      removeEventListener("drop", dropped);
    };
  }, []);
  return { ...state, add };
}
